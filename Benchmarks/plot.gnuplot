# gnuplot -e "data='...'; output='...'": a line for each operation with the ratio to C of every column from the third.
set terminal svg size 860,460 background "white" font "Helvetica,13"
set output output
set logscale x
set xrange [0.02:150]
set xtics ("0.05×" 0.05, "0.1×" 0.1, "0.2×" 0.2, "0.5×" 0.5, "C" 1, "2×" 2, "5×" 5, "10×" 10, "20×" 20, "50×" 50, "100×" 100)
set xlabel "time of an operation, to C on SQLite; left is faster (1,000 sessions in memory)"
set yrange [-0.6:10.6]
set grid x y linecolor rgb "#dddddd" linetype 1
set border 1 linecolor rgb "#888888"
set tics scale 0
set key outside top center horizontal
set arrow from 1, graph 0 to 1, graph 1 nohead linecolor rgb "#888888"
set pointsize 1.1
array colours[5] = ["#d03040", "#2060c0", "#80a8e0", "#308040", "#90c090"]
array shapes[5] = [7, 5, 4, 9, 8]
plot for [k=1:5] data using (column(k + 2)):1:ytic(2) with points \
    pointtype shapes[k] linecolor rgb colours[k] title columnheader(k + 2)

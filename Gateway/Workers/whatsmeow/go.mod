module whatsapp-worker

go 1.26

require (
	github.com/mattn/go-sqlite3 v1.14.32
	go.mau.fi/whatsmeow v0.0.0-20260821141805-33cfac511629
)

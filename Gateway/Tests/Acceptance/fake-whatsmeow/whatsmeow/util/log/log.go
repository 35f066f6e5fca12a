package waLog

type Logger interface {
	Debugf(text string, arguments ...any)
}

var Noop Logger

package command

import (
	"io"
	"log/slog"

	"github.com/spf13/pflag"
)

// Log says how a long-running command tells what it does.
type Log struct {
	Level  string
	Format string
}

// AddFlags declares the options. The level is the default.
func (o *Log) AddFlags(flags *pflag.FlagSet, level string) {
	OneOf(flags, &o.Level, "log-level", "", level, "log what is at least this `level`", "debug", "info", "warn", "error")
	OneOf(flags, &o.Format, "log-format", "", "text", "the log's `format`", "text", "json")
	Shared(flags, "log-level", "log-format")
}

// Logger returns a logger that writes to w.
func (o *Log) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.Level)); err != nil {
		panic("log level was not checked: " + err.Error())
	}
	options := &slog.HandlerOptions{Level: level}
	if o.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// Args are the options that have another command log in the same way.
func (o *Log) Args() []string {
	return []string{"--log-level", o.Level, "--log-format", o.Format}
}

package sim_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
)

var discardLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)

func gzipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.Bytes()
}

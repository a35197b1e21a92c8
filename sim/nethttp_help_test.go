package sim_test

import (
	"bytes"
	"compress/gzip"
	"io"
	stdlog "log"
)

var discardLog = stdlog.New(io.Discard, "", 0)

func gzipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.Bytes()
}

package fleet

import (
	"bytes"
	"io"
)

// prefixWriter puts a prefix before each line. The writer below gets whole lines.
type prefixWriter struct {
	w      io.Writer
	prefix string
	rest   []byte // of a line that has not ended
}

// maxLogLine bounds what is kept of a line that does not end.
const maxLogLine = 64 << 10

// Write implements io.Writer.
func (p *prefixWriter) Write(data []byte) (int, error) {
	p.rest = append(p.rest, data...)
	for {
		line, rest, ok := cutLine(p.rest)
		if !ok {
			return len(data), nil
		}
		if _, err := p.w.Write(append([]byte(p.prefix), line...)); err != nil {
			return 0, err
		}
		p.rest = rest
	}
}

// cutLine returns the first line with its end, or as much as is kept of one.
func cutLine(data []byte) (line, rest []byte, ok bool) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return data[:i+1], data[i+1:], true
	}
	if len(data) > maxLogLine {
		return append(data[:maxLogLine:maxLogLine], '\n'), data[maxLogLine:], true
	}
	return nil, data, false
}

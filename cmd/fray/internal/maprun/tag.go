package maprun

import (
	"bytes"
	"io"
)

// tagWriter puts a tag before each line of what is written to it.
type tagWriter struct {
	w      io.Writer
	tag    string
	inLine bool // the last line has not ended
	buffer []byte
}

// Write implements io.Writer.
func (t *tagWriter) Write(data []byte) (int, error) {
	t.buffer = t.buffer[:0]
	for line := range bytes.Lines(data) {
		if !t.inLine {
			t.buffer = append(t.buffer, t.tag...)
		}
		t.buffer = append(t.buffer, line...)
		t.inLine = line[len(line)-1] != '\n'
	}
	if _, err := t.w.Write(t.buffer); err != nil {
		return 0, err
	}
	return len(data), nil
}

// endLine ends the last line, if there is one that has not ended.
func (t *tagWriter) endLine() error {
	if !t.inLine {
		return nil
	}
	_, err := t.w.Write([]byte{'\n'})
	return err
}

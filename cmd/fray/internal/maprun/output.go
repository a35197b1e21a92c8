package maprun

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/frayrpc/fray/fray/worker/execfn"
)

// output is one output of a command that has ended.
type output struct {
	data []byte
	more *execfn.More // nil: data is all
}

// size is how many bytes of it wait to be printed.
func (o *output) size() int64 {
	if o.more != nil && o.more.File != "" {
		return o.more.Bytes
	}
	return int64(len(o.data))
}

// shelve moves what is long from memory to a file.
func (o *output) shelve(s *Spool, taskID, name string) error {
	if len(o.data) <= spoolInline || o.more != nil && o.more.File != "" {
		return nil
	}
	more, err := s.save(taskID, name, o.data)
	if err != nil {
		return fmt.Errorf("keep output: %w", err)
	}
	o.data, o.more = nil, more
	return nil
}

// copyTo writes the output to w.
func (o *output) copyTo(w io.Writer, s *Spool, taskID string) error {
	if o.more == nil || o.more.File == "" {
		_, err := w.Write(o.data)
		return err
	}
	file, err := s.open(taskID, o.more)
	if err != nil {
		return &lostError{err}
	}
	defer file.Close() //nolint:errcheck // It was only read.
	n, err := io.Copy(w, io.LimitReader(file, o.more.Bytes))
	if err == nil && n < o.more.Bytes {
		return &lostError{errors.New("the file of the output was cut to " + strconv.FormatInt(n, 10) + " bytes")}
	}
	return err
}

// end is the end of the output, at most limit bytes, as far as it is known.
func (o *output) end(limit int64, s *Spool, taskID string) []byte {
	switch {
	case o.more == nil:
		return o.data[max(0, int64(len(o.data))-limit):]
	case o.more.File == "":
		return o.more.Tail[max(0, int64(len(o.more.Tail))-limit):]
	}
	file, err := s.open(taskID, o.more)
	if err != nil {
		return nil
	}
	defer file.Close() //nolint:errcheck // It was only read.
	end := make([]byte, min(limit, o.more.Bytes))
	n, _ := file.ReadAt(end, o.more.Bytes-int64(len(end))) // what there is will do
	return end[:n]
}

// lostError is about an output that cannot be had, not about what it is written to.
type lostError struct{ error }

func (e *lostError) Unwrap() error { return e.error }

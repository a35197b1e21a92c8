package maprun

import (
	"context"
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

// elsewhere says whether the output is in a file or an object.
func (o *output) elsewhere() bool {
	return o.more != nil && (o.more.File != "" || o.more.Object != nil)
}

// size is how many bytes of it wait to be printed.
func (o *output) size() int64 {
	if o.elsewhere() {
		return o.more.Bytes
	}
	return int64(len(o.data))
}

// shelve moves what is long from memory, or from an object, to a file.
func (o *output) shelve(ctx context.Context, s *Spool, taskID, name string) error {
	if o.more != nil && o.more.Object != nil {
		return o.fetch(ctx, s, taskID, name)
	}
	if len(o.data) <= spoolInline || o.elsewhere() {
		return nil
	}
	more, err := s.save(taskID, name, o.data)
	if err != nil {
		return fmt.Errorf("keep output: %w", err)
	}
	o.data, o.more = nil, more
	return nil
}

// fetch moves the output from its object to a file, so that the cluster has it no longer than the command runs.
func (o *output) fetch(ctx context.Context, s *Spool, taskID, name string) error {
	file, path, err := s.create(taskID, name)
	if err != nil {
		return fmt.Errorf("keep output: %w", err)
	}
	if err := errors.Join(o.copyTo(ctx, file, s, taskID, 0), file.Close()); err != nil {
		return fmt.Errorf("keep output: %w", err)
	}
	_ = o.more.Object.Release(ctx) // else it goes with its job
	o.more = &execfn.More{Bytes: o.more.Bytes, File: path}
	return nil
}

// copyTo writes the output to w, from a byte on. ctx is of the job whose objects may have it.
func (o *output) copyTo(ctx context.Context, w io.Writer, s *Spool, taskID string, from int64) error {
	if !o.elsewhere() {
		_, err := w.Write(o.data[min(from, int64(len(o.data))):])
		return err
	}
	source, err := o.open(ctx, s, taskID, from)
	if err != nil {
		return &lostError{err}
	}
	defer source.Close() //nolint:errcheck // It was only read.
	n, err := io.Copy(w, lostReader{io.LimitReader(source, o.more.Bytes-from)})
	if err == nil && n < o.more.Bytes-from {
		return &lostError{errors.New("the output was cut to " + strconv.FormatInt(n+from, 10) + " bytes")}
	}
	return err
}

// open opens the file or the object that has the output, at one of its bytes.
func (o *output) open(ctx context.Context, s *Spool, taskID string, from int64) (io.ReadCloser, error) {
	if o.more.Object == nil {
		file, err := s.open(taskID, o.more)
		if err != nil {
			return nil, err
		}
		_, err = file.Seek(from, io.SeekStart)
		return file, err
	}
	object, err := o.more.Object.Open(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, object, execfn.ObjectHeaderBytes+from); err != nil {
		return nil, errors.Join(fmt.Errorf("read output: %w", err), object.Close())
	}
	return object, nil
}

// lostReader has its errors be about the output that is read.
type lostReader struct{ io.Reader }

// Read implements io.Reader.
func (r lostReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &lostError{err}
	}
	return n, err
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

package mapplan

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
)

// maxValueBytes bounds one value. Linux takes arguments of up to 128 KiB.
const maxValueBytes = 128 << 10

// Read yields what stands in r before each delimiter, and behind the last one. Its errors are
// [InputError], with the name of r.
func Read(r io.Reader, name string, delimiter byte) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		reader := bufio.NewReaderSize(r, maxValueBytes)
		for n := 1; ; n++ {
			data, err := reader.ReadSlice(delimiter)
			if err == nil {
				data = data[:len(data)-1]
			}
			switch {
			case bytes.IndexByte(data, 0) >= 0: // else they would all be one
				err = fmt.Errorf("%s: input %d has a NUL byte: pass --null if NUL bytes separate the inputs", name, n)
			case errors.Is(err, bufio.ErrBufferFull):
				err = fmt.Errorf("%s: input %d has more than %d bytes", name, n, maxValueBytes)
			case errors.Is(err, io.EOF) && len(data) > 0: // the last one may lack its end
				err = nil
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				err = fmt.Errorf("read inputs from %s: %w", name, err)
			}
			if err != nil {
				yield("", &InputError{err})
				return
			}
			if !yield(string(data), nil) {
				return
			}
		}
	}
}

// An InputError is about what the user named: files of inputs, or what stands in them.
type InputError struct{ error }

// Unwrap returns the error without its kind.
func (e *InputError) Unwrap() error { return e.error }

package maprun

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
)

// maxInputBytes bounds one input. Linux takes arguments of up to 128 KiB.
const maxInputBytes = 128 << 10

// Inputs are what the command is run for.
type Inputs struct {
	// All yields them, one after the other, and ends with the first error.
	All iter.Seq2[string, error]
	// Bounded inputs can be read to their end in no longer than a file takes.
	Bounded bool
}

// List returns inputs that are known.
func List(list []string) Inputs {
	return Inputs{Bounded: true, All: func(yield func(string, error) bool) {
		for _, input := range list {
			if !yield(input, nil) {
				return
			}
		}
	}}
}

// Read yields what stands in r before each delimiter, and behind the last one. Its errors are
// [ArgumentError], with the name of r.
func Read(r io.Reader, name string, delimiter byte) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		reader := bufio.NewReaderSize(r, maxInputBytes)
		for n := 1; ; n++ {
			data, err := reader.ReadSlice(delimiter)
			if err == nil {
				data = data[:len(data)-1]
			}
			switch {
			case bytes.IndexByte(data, 0) >= 0: // else they would all be one
				err = fmt.Errorf("%s: input %d has a NUL byte: pass --null if NUL bytes separate the inputs", name, n)
			case errors.Is(err, bufio.ErrBufferFull):
				err = fmt.Errorf("%s: input %d has more than %d bytes", name, n, maxInputBytes)
			case errors.Is(err, io.EOF) && len(data) > 0: // the last one may lack its end
				err = nil
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				err = fmt.Errorf("read inputs from %s: %w", name, err)
			}
			if err != nil {
				yield("", &ArgumentError{err})
				return
			}
			if !yield(string(data), nil) {
				return
			}
		}
	}
}

// An ArgumentError is about what the user named: inputs, or a directory.
type ArgumentError struct{ error }

// Unwrap returns the error without its kind.
func (e *ArgumentError) Unwrap() error { return e.error }

package mapplan

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Blocks says how a stream is cut into blocks. A block has whole records only.
type Blocks struct {
	// End is what each record ends with; empty, with Start empty, too: any byte ends one. Start is what each
	// begins with; empty: nothing is.
	End, Start string
	// Bytes is how long a block becomes, about: one ends with the last record that ends within. Records is how
	// many records it has, in place of that; 0: Bytes counts.
	Bytes   int64
	Records int
	// Most is how long a block may become for its records.
	Most int64
}

// readPiece is how much is read at once.
const readPiece = 64 << 10

// Jobs yields a job for each block of r, whose name is for errors.
func (b Blocks) Jobs(r io.Reader, name string) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		in := bufio.NewReaderSize(r, readPiece)
		var held []byte // what was read and belongs to no block yet
		ended := false
		looked, seen := 0, 0 // no end is before looked but those of so many records
		for n := 1; ; {
			cut := b.cut(held, &looked, &seen, ended)
			if cut == 0 && !ended {
				var err error
				if held, err = readMore(in, held); err != nil && !errors.Is(err, io.EOF) {
					yield(Job{}, &InputError{fmt.Errorf("read %s: %w", name, err)})
					return
				} else if err != nil {
					ended = true
				}
				if int64(len(held)) > b.Most+readPiece {
					yield(Job{}, &InputError{fmt.Errorf("%s: block %d has no end within %d bytes, which is the most: is --recend right?", name, n, b.Most)})
					return
				}
				continue
			}
			if cut == 0 {
				cut = len(held)
			}
			if cut == 0 {
				return
			}
			if !yield(Job{Number: n, Block: bytes.Clone(held[:cut])}, nil) {
				return
			}
			held = append(held[:0], held[cut:]...)
			looked, seen = 0, 0
			n++
		}
	}
}

func readMore(in *bufio.Reader, held []byte) ([]byte, error) {
	start := len(held)
	held = append(held, make([]byte, readPiece)...)
	n, err := in.Read(held[start:])
	return held[:start+n], err
}

// cut returns where the first block of data ends, with which all of the stream is read or not; 0: it is not
// known yet. looked and seen are where it has
// looked before.
func (b Blocks) cut(data []byte, looked, seen *int, all bool) int {
	if b.Records > 0 {
		for {
			end := b.nextEnd(data, *looked)
			if end == 0 {
				return 0
			}
			*looked = end
			if *seen++; *seen == b.Records {
				return end
			}
		}
	}
	if int64(len(data)) < b.Bytes || !all && int64(len(data)) < b.Bytes+int64(len(b.Start)) {
		return 0
	}
	// The last record that ends within the block; else the first one, whatever its length.
	if *looked == 0 {
		if end := b.lastEnd(int(b.Bytes), data); end > 0 {
			return end
		}
	}
	end := b.nextEnd(data, max(*looked-1, 0))
	*looked = max(0, len(data)-len(b.End)-len(b.Start))
	return end
}

// nextEnd returns where the record ends that begins at from; 0: it is not known.
func (b Blocks) nextEnd(data []byte, from int) int {
	mark := []byte(b.End + b.Start)
	if len(mark) == 0 {
		if from < len(data) {
			return from + 1
		}
		return 0
	}
	skip := 0
	if b.End == "" { // what stands at from is the start of this record
		skip = min(1, len(data)-from)
	}
	if at := bytes.Index(data[from+skip:], mark); at >= 0 {
		return from + skip + at + len(b.End)
	}
	return 0
}

// lastEnd returns where the last record ends that ends within the first n bytes; 0: none does.
func (b Blocks) lastEnd(n int, data []byte) int {
	mark := []byte(b.End + b.Start)
	if len(mark) == 0 {
		return n
	}
	// The start of the next record may be beyond.
	if at := bytes.LastIndex(data[:min(len(data), n+len(b.Start))], mark); at >= 0 {
		return at + len(b.End)
	}
	return 0
}

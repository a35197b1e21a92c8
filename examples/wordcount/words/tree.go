package words

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"

	"github.com/frayrpc/fray/fray"
)

// DefaultTextBytes is the size from which a text takes no more files.
const DefaultTextBytes = 1 << 20

// Tree is the Go source files below a directory.
type Tree struct {
	Dir fs.FS
	// TextBytes is the size from which a text takes no more files, in bytes. 0: DefaultTextBytes.
	TextBytes int64
}

// Texts puts the files as objects, several in each, and yields these as they are taken. It ends
// with the first error.
func (t Tree) Texts(ctx context.Context) iter.Seq2[fray.Ref[[]byte], error] {
	return func(yield func(fray.Ref[[]byte], error) bool) {
		for files, err := range t.batches() {
			var text fray.Ref[[]byte]
			if err == nil {
				text, err = t.put(ctx, files)
			}
			if !yield(text, err) || err != nil {
				return
			}
		}
	}
}

// put puts files as one object.
func (t Tree) put(ctx context.Context, files []string) (fray.Ref[[]byte], error) {
	body := &concatenation{dir: t.Dir, left: files}
	defer body.Close()
	return fray.PutReader(ctx, body)
}

// batches yields the files of a text at a time.
func (t Tree) batches() iter.Seq2[[]string, error] {
	most := t.TextBytes
	if most == 0 {
		most = DefaultTextBytes
	}
	return func(yield func([]string, error) bool) {
		var batch []string
		size := int64(0)
		for file, err := range t.files() {
			var info fs.FileInfo
			if err == nil {
				info, err = fs.Stat(t.Dir, file)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			batch = append(batch, file)
			if size += info.Size(); size >= most {
				if !yield(batch, nil) {
					return
				}
				batch, size = nil, 0
			}
		}
		if len(batch) > 0 {
			yield(batch, nil)
		}
	}
}

// files yields the names of the files, in the order of the alphabet. It ends with the first error.
func (t Tree) files() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := fs.WalkDir(t.Dir, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return fmt.Errorf("read the tree: %w", err)
			}
			if entry.Type().IsRegular() && path.Ext(name) == ".go" && !yield(name, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield("", err)
		}
	}
}

// read has a file read.
func (t Tree) read(name string, by func(io.Reader) error) error {
	file, err := t.Dir.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	return by(file)
}

// concatenation is files one after the other, with a line end after each. One is open at a time.
type concatenation struct {
	dir  fs.FS
	left []string
	file fs.File // that is read; nil: the next one is to be opened
}

// Read implements io.Reader.
func (c *concatenation) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.file == nil {
		if len(c.left) == 0 {
			return 0, io.EOF
		}
		var err error
		if c.file, err = c.dir.Open(c.left[0]); err != nil {
			return 0, err
		}
		c.left = c.left[1:]
	}
	n, err := c.file.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if n < len(p) {
		p[n] = '\n'
		n++
		err = c.Close()
		return n, err
	}
	return n, nil // The file says again that it ends.
}

// Close closes the file that is open.
func (c *concatenation) Close() error {
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	c.file = nil
	return err
}

package maprun

import (
	"bytes"
	"errors"
	"io"
	"time"
)

const (
	// followPause is how long after a look at the outputs of commands that run they are looked at again.
	followPause = 50 * time.Millisecond
	// followBytes is how much of each is printed at once.
	followBytes = 256 << 10
	// maxLineHeld is how long a line becomes whose end is waited for in memory.
	maxLineHeld = 1 << 20
	// outputsOfCommand are its standard output and its error output.
	outputsOfCommand = 2
)

// followed is how far an output is printed whose command runs.
type followed struct {
	name string // of its file; empty: none was seen
	read int64  // bytes that were read of it
	held []byte // those of them that are no line yet
	// late: a line of it is too long to be held back, and is printed when the command has ended.
	late bool
}

// printed is how many of its bytes are printed.
func (f *followed) printed() int64 { return f.read - int64(len(f.held)) }

// followAll prints the lines that commands have printed since it was last called, each command's together.
func (m *run) followAll() error {
	for _, id := range m.Spool.tasks() {
		m.mu.Lock()
		item := m.open[id]
		m.mu.Unlock()
		if item == nil {
			continue
		}
		if err := m.follow(item); err != nil {
			return err
		}
	}
	return m.Screen.Out.Flush()
}

// follow prints the lines that one command has printed since.
func (m *run) follow(item *item) error {
	for which, suffix := range []string{"out", "err"} {
		w := m.writer(which)
		name := m.Spool.newest(item.taskID, suffix)
		f := &item.tails[which]
		if name == "" {
			continue
		}
		if f.name != name {
			if err := m.endLine(item, which, w); err != nil { // of an attempt before
				return err
			}
			*f = followed{name: name}
		}
		if err := m.followOne(f, item, w); err != nil {
			return err
		}
	}
	return m.Screen.Out.Flush()
}

func (m *run) writer(which int) io.Writer {
	if which == 1 {
		return m.Screen.Err
	}
	return m.Screen.Out
}

func (m *run) followOne(f *followed, item *item, w io.Writer) error {
	if f.late {
		return nil
	}
	file, err := m.Spool.root.Open(f.name)
	if err != nil {
		return nil // A new attempt begins, and removes it.
	}
	defer file.Close() //nolint:errcheck // It was only read.
	piece := make([]byte, followBytes)
	n, err := file.ReadAt(piece, f.read)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil // What is missing is printed when the command has ended.
	}
	f.read += int64(n)
	f.held = append(f.held, piece[:n]...)
	end := bytes.LastIndexByte(f.held, '\n') + 1
	if end == 0 && len(f.held) > maxLineHeld {
		f.read, f.held, f.late = f.printed(), nil, true
	}
	if end == 0 {
		return nil
	}
	lines := f.held[:end]
	f.held = f.held[end:]
	return m.writeLines(w, item, lines)
}

// endLines ends the lines of a command of which no more comes.
func (m *run) endLines(item *item) error {
	for which := range item.tails {
		if err := m.endLine(item, which, m.writer(which)); err != nil {
			return err
		}
	}
	return nil
}

// endLine prints what a command has printed behind its last line.
func (m *run) endLine(item *item, which int, w io.Writer) error {
	f := &item.tails[which]
	if len(f.held) == 0 {
		return nil
	}
	f.held = append(f.held, '\n')
	line := f.held
	f.held = nil
	return m.writeLines(w, item, line)
}

func (m *run) writeLines(w io.Writer, item *item, lines []byte) error {
	if m.Tag {
		w = &tagWriter{w: w, tag: item.name + "\t"}
	}
	_, err := w.Write(lines)
	return err
}

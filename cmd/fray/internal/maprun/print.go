package maprun

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/frayrpc/fray/fray"
)

// tailBytes is how much of the end of an error output the summary looks at.
const tailBytes = 2 << 10

// print prints what the commands print, in the order of the jobs or in that of their ends, as soon as it
// can.
func (m *run) print() error {
	var tick <-chan time.Time
	if m.Live {
		ticker := time.NewTicker(followPause)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case item, ok := <-m.ready:
			if !ok {
				return m.Screen.Out.Flush()
			}
			if err := m.printItem(item, tick); err != nil {
				return m.giveUp(err)
			}
			if m.AsEnded && len(m.ready) == 0 {
				if err := m.Screen.Out.Flush(); err != nil {
					return m.giveUp(err)
				}
			}
		case <-tick:
			if !m.AsEnded {
				continue // what is to be printed now has just not been submitted
			}
			if err := m.followAll(); err != nil {
				return m.giveUp(err)
			}
		}
	}
}

// giveUp ends the run, as nothing can be printed any more.
func (m *run) giveUp(err error) error {
	m.stop(err)
	for item := range m.ready { // nobody else takes them
		<-item.ended
		m.window.printed(item.size())
	}
	return err
}

// printItem prints a command when it has ended, and what it prints until then at each tick.
func (m *run) printItem(item *item, tick <-chan time.Time) error {
	for waiting := true; waiting; {
		select {
		case <-item.ended: // by itself, or with life
			waiting = false
			continue
		default:
		}
		if err := m.Screen.Out.Flush(); err != nil {
			return err
		}
		select {
		case <-item.ended:
		case <-tick:
			if err := m.follow(item); err != nil {
				return err
			}
		}
	}
	size := item.size()
	err := m.printEnd(item)
	if dropErr := m.drop(item); err == nil && dropErr != nil {
		err = fmt.Errorf("remove printed output: %w", dropErr)
	}
	m.window.printed(size)
	return err
}

// drop lets go of what a command was given and has printed.
func (m *run) drop(item *item) error {
	if m.Live {
		m.mu.Lock()
		delete(m.open, item.taskID)
		m.mu.Unlock()
	}
	return m.Spool.drop(item.taskID)
}

// printEnd prints how a command ended. It returns an error if that cannot be written.
func (m *run) printEnd(item *item) error {
	if item.notRun {
		m.summary.notRun++
		return m.endLines(item)
	}
	tail := item.failure.stderr
	if tail == "" && item.failure.why != "" {
		tail = string(item.stderr.end(tailBytes, m.Spool, item.taskID))
	}
	var err error
	if m.Results != nil {
		err = m.keepResults(item)
	} else {
		err = m.printOutputs(item)
	}
	var lost *lostError
	if errors.As(err, &lost) {
		item.failure.why, err = lost.Error(), nil
		item.failure.name, item.failure.taskID = item.name, item.taskID
		m.Screen.Ended(false)
		m.count(false)
	}
	if err == nil {
		err = m.record(item)
	}
	if item.failure.why == "" {
		m.summary.succeeded++
		return err
	}
	item.failure.stderr = tail
	m.summary.add(item.failure)
	return err
}

func (m *run) printOutputs(item *item) error {
	if item.stderr.size() > 0 || item.tails[1].name != "" {
		if err := m.Screen.Out.Flush(); err != nil {
			return err
		}
		if err := m.printOutput(m.Screen.Err, item.stderr, item, 1); err != nil {
			return err
		}
	}
	return m.printOutput(m.Screen.Out, item.stdout, item, 0)
}

// printOutput writes an output, as far as that was not done before, with the arguments before each line if
// that is wanted.
func (m *run) printOutput(w io.Writer, output output, item *item, which int) error {
	followed := &item.tails[which]
	from := int64(0)
	if followed.name != "" {
		if output.more != nil && output.more.File == followed.name {
			from = followed.printed()
		} else if err := m.endLine(item, which, w); err != nil {
			return err
		}
	}
	ctx := fray.NewContext(m.life, m.Job)
	if !m.Tag {
		return output.copyTo(ctx, w, m.Spool, item.taskID, from)
	}
	tagged := &tagWriter{w: w, tag: item.name + "\t"}
	if err := output.copyTo(ctx, tagged, m.Spool, item.taskID, from); err != nil {
		return err
	}
	return tagged.endLine()
}

// keepResults writes what a command printed to the files that are to have it.
func (m *run) keepResults(item *item) error {
	const folderMode, fileMode = 0o777, 0o666 // as the user's umask has it
	files := m.Results.Of(item.job)
	ctx := fray.NewContext(m.life, m.Job)
	write := func(path string, content func(io.Writer) error) error {
		if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
			return fmt.Errorf("keep results: %w", err)
		}
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode) // The user names it.
		if err != nil {
			return fmt.Errorf("keep results: %w", err)
		}
		if err := errors.Join(content(file), file.Close()); err != nil {
			return fmt.Errorf("keep results: %w", err)
		}
		return nil
	}
	of := func(output output) func(io.Writer) error {
		return func(w io.Writer) error { return output.copyTo(ctx, w, m.Spool, item.taskID, 0) }
	}
	return errors.Join(
		write(files.Stdout, of(item.stdout)),
		write(files.Stderr, of(item.stderr)),
		write(files.Number, func(w io.Writer) error {
			_, err := io.WriteString(w, strconv.Itoa(item.job.Number))
			return err
		}),
	)
}

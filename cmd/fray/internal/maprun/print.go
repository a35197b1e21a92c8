package maprun

import (
	"errors"
	"fmt"
	"io"
)

// tailBytes is how much of the end of an error output the summary looks at.
const tailBytes = 2 << 10

// print prints what the commands print, in the order of the inputs, as soon as it can.
func (m *run) print() error {
	for item := range m.ordered {
		if err := m.printItem(item); err != nil {
			m.stop(err)
			for item := range m.ordered { // nobody else takes them
				<-item.ended
				m.window.printed(item.size())
			}
			return err
		}
	}
	return m.Screen.Out.Flush()
}

func (m *run) printItem(item *item) error {
	select {
	case <-item.ended:
	default:
		if err := m.Screen.Out.Flush(); err != nil {
			return err
		}
		<-item.ended // by itself, or with life
	}
	size := item.size()
	err := m.printEnd(item)
	if dropErr := m.Spool.drop(item.taskID); err == nil && dropErr != nil {
		err = fmt.Errorf("remove printed output: %w", dropErr)
	}
	m.window.printed(size)
	return err
}

// printEnd prints how a command ended. It returns an error if that cannot be written.
func (m *run) printEnd(item *item) error {
	if item.notRun {
		m.summary.notRun++
		return nil
	}
	tail := item.failure.stderr
	if tail == "" && item.failure.why != "" {
		tail = string(item.stderr.end(tailBytes, m.Spool, item.taskID))
	}
	err := m.printOutputs(item)
	var lost *lostError
	if errors.As(err, &lost) {
		item.failure.why, err = lost.Error(), nil
		m.Screen.Ended(false)
		if !m.KeepGoing {
			m.stop(ErrFailed)
		}
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
	if item.stderr.size() > 0 {
		if err := m.Screen.Out.Flush(); err != nil {
			return err
		}
		if err := m.printOutput(m.Screen.Err, item.stderr, item); err != nil {
			return err
		}
	}
	return m.printOutput(m.Screen.Out, item.stdout, item)
}

// printOutput writes an output, with the input before each line if that is wanted.
func (m *run) printOutput(w io.Writer, output output, item *item) error {
	if !m.Tag {
		return output.copyTo(w, m.Spool, item.taskID)
	}
	tagged := &tagWriter{w: w, tag: item.input + "\t"}
	if err := output.copyTo(tagged, m.Spool, item.taskID); err != nil {
		return err
	}
	return tagged.endLine()
}

package maprun

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/frayrpc/fray/cmd/fray/internal/mapplan"
)

// Log is a file with a line for each command that has ended, in the format of GNU parallel. A line is
// written when the output of its command is. Its owner closes it.
type Log struct {
	file *os.File
}

// OpenLog opens a log. To resume, it returns what the log that is there tells, and goes on behind its last
// whole line; else it begins anew.
func OpenLog(path string, resume bool) (*Log, mapplan.Logged, error) {
	const mode = 0o666 // as the user's umask has it
	flags := os.O_RDWR | os.O_CREATE
	if !resume {
		flags |= os.O_TRUNC
	}
	file, err := os.OpenFile(path, flags, mode) // The user names it.
	if err != nil {
		return nil, mapplan.Logged{}, &ArgumentError{fmt.Errorf("open the log of jobs: %w", err)}
	}
	l := &Log{file: file}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() && resume {
		err = errors.New("it is no file that can be read again")
	}
	if err == nil && resume && info.Size() > 0 {
		var logged mapplan.Logged
		if logged, err = mapplan.ReadLog(file); err == nil {
			if err = l.cut(logged.Bytes); err == nil {
				return l, logged, nil
			}
		}
	} else if err == nil {
		_, err = file.WriteString(mapplan.LogHeader())
	}
	if err != nil {
		return nil, mapplan.Logged{}, errors.Join(&ArgumentError{fmt.Errorf("log of jobs %s: %w", path, err)}, file.Close())
	}
	return l, mapplan.Logged{}, nil
}

// cut drops what stands behind some bytes of the log, and goes on there.
func (l *Log) cut(bytes int64) error {
	if bytes == 0 { // not even its first line is whole
		return errors.Join(l.file.Truncate(0), l.rewind(0), l.write(mapplan.LogHeader()))
	}
	return errors.Join(l.file.Truncate(bytes), l.rewind(bytes))
}

func (l *Log) rewind(to int64) error {
	_, err := l.file.Seek(to, 0)
	return err
}

func (l *Log) write(line string) error {
	_, err := l.file.WriteString(line)
	return err
}

// Close closes the file.
func (l *Log) Close() error {
	if err := l.file.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("close the log of jobs: %w", err)
	}
	return nil
}

// record writes the line of a command that has ended.
func (m *run) record(item *item) error {
	if m.Log == nil {
		return nil
	}
	e := mapplan.Entry{
		Number: item.job.Number, Host: ":", Sent: item.sent, Received: item.stdout.size(), Exit: item.exitCode,
		StartMicros: time.Now().UnixMicro(),
	}
	slot := slotSign
	if a := item.account; a != nil {
		e.StartMicros, e.TookMicros, e.Signal = a.StartMicros, a.TookMicros, a.Signal
		if e.Signal != 0 && e.Exit > 0 {
			e.Exit = 0
		}
		if m.Lost == nil && a.Host != "" {
			e.Host = a.Host
		}
		slot = strconv.Itoa(a.Slot)
	}
	if item.failure.why != "" && e.Exit == 0 && e.Signal == 0 {
		e.Exit = -1 // its output was lost
	}
	argv := item.argv
	if m.Template.HasSlot() {
		argv = m.Template.Expand(item.job.Args, item.job.Number, slot)
	}
	e.Command = mapplan.QuoteAll(argv)
	if err := m.Log.write(e.String()); err != nil {
		return fmt.Errorf("write the log of jobs: %w", err)
	}
	return nil
}

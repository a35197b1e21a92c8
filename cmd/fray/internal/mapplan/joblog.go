package mapplan

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// logHeader is the first line of a log of jobs: the columns that parallel's has.
const logHeader = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand"

const (
	logColumns = 9
	// maxLogLine bounds one line of a log, maxLogged how many of them are looked at.
	maxLogLine = 16 << 20
	maxLogged  = 50_000_000
)

// Entry is a line of a log of jobs: one that has ended.
type Entry struct {
	Number int
	// Host is where it ran; ":" is this machine.
	Host string
	// StartMicros is when it began, in microseconds of Unix time; 0: it never did. TookMicros is how long it
	// took.
	StartMicros, TookMicros int64
	// Sent is how many bytes of input it was given, Received how many it printed on its
	// standard output.
	Sent, Received int64
	// Exit is its exit code: 0 if a signal ended it, -1 if it did not end by itself.
	Exit   int
	Signal int
	// Command is as one would type it.
	Command string
}

// Failed says whether it did not end well.
func (e Entry) Failed() bool { return e.Exit != 0 || e.Signal != 0 }

// oneLine keeps a command within its line and column.
var oneLine = strings.NewReplacer("\n", `\n`, "\t", `\t`)

// String is the line, with its end.
func (e Entry) String() string {
	const second, thousand = 1_000_000, 1000
	return fmt.Sprintf("%d\t%s\t%d.%03d\t%6d.%03d\t%d\t%d\t%d\t%d\t%s\n", e.Number, e.Host,
		e.StartMicros/second, e.StartMicros%second/thousand, e.TookMicros/second, e.TookMicros%second/thousand,
		e.Sent, e.Received, e.Exit, e.Signal, oneLine.Replace(e.Command))
}

// Logged is what a log tells of jobs that have ended.
type Logged struct {
	// Bytes is how long its whole lines are: what stands behind them is a line that was cut off.
	Bytes int64
	// ended has jobs by their number: whether the last line about one says that it failed.
	ended map[int]bool
}

// ErrNotALog is the error about a file that is no log of jobs.
var ErrNotALog = errors.New("its first line is not that of a log of jobs")

// ReadLog reads a log.
func ReadLog(r io.Reader) (Logged, error) {
	l := Logged{ended: make(map[int]bool)}
	in := bufio.NewReaderSize(r, readPiece)
	for n := 1; ; n++ {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) { // a part of a line was never completed
			return l, nil
		}
		if err != nil {
			return Logged{}, fmt.Errorf("line %d: %w", n, err)
		}
		l.Bytes += int64(len(line))
		line = strings.TrimSuffix(line, "\n")
		if n == 1 {
			if line != logHeader {
				return Logged{}, ErrNotALog
			}
			continue
		}
		number, failed, err := readEntry(line)
		if err != nil {
			return Logged{}, fmt.Errorf("line %d: %w", n, err)
		}
		l.ended[number] = failed
		if len(l.ended) > maxLogged {
			return Logged{}, fmt.Errorf("it has more than %d jobs", maxLogged)
		}
	}
}

// readLine reads a line with its end, or io.EOF if there is no whole one.
func readLine(in *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		piece, err := in.ReadSlice('\n')
		b.Write(piece)
		switch {
		case err == nil:
			return b.String(), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		case b.Len() > maxLogLine:
			return "", fmt.Errorf("it has more than %d bytes", maxLogLine)
		}
	}
}

func readEntry(line string) (number int, failed bool, err error) {
	const exit, signal = 6, 7
	columns := strings.SplitN(line, "\t", logColumns)
	if len(columns) < logColumns {
		return 0, false, fmt.Errorf("it has %d columns, not %d", len(columns), logColumns)
	}
	if number, err = strconv.Atoi(columns[0]); err != nil || number < 1 {
		return 0, false, fmt.Errorf("%q is no number of a job", columns[0])
	}
	return number, columns[exit] != "0" || columns[signal] != "0", nil
}

// Ended says whether a job is in the log, and whether it failed there.
func (l Logged) Ended(number int) (ended, failed bool) {
	failed, ended = l.ended[number]
	return ended, failed
}

// LogHeader is the first line of a log, with its end.
func LogHeader() string { return logHeader + "\n" }

package screen

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestScreenWithoutTerminal(t *testing.T) {
	t.Parallel()
	var stdout, stderr strings.Builder
	s := New(&stdout, &stderr, true)
	s.Added(2)
	s.Say("something")
	for _, text := range []string{"a", "b\n"} {
		if _, err := s.Out.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Err.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	s.Ended(true)
	s.Ended(false)
	if err := s.Finish(); err != nil || stdout.String() != "ab\n" || stderr.String() != "ab\n" {
		t.Errorf("printed %q and %q, %v", stdout.String(), stderr.String(), err)
	}
}

// A bar is drawn between lines, so that what is no line yet is held back.
func TestWholeLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxPartLine+1)
	var out strings.Builder
	w := &wholeLines{w: &out}
	for _, step := range []struct{ write, want string }{
		{"a\nb", "a\n"}, {"c", "a\n"}, {"\n", "a\nbc\n"}, {"d", "a\nbc\n"}, {long, "a\nbc\nd" + long},
	} {
		if n, err := w.Write([]byte(step.write)); n != len(step.write) || err != nil || out.String() != step.want {
			t.Errorf("after %.10q: %.20q, %v", step.write, out.String(), err)
		}
	}
	out.Reset()
	if _, err := w.Write([]byte("e")); err != nil {
		t.Fatal(err)
	}
	w.flush()
	if _, err := w.Write([]byte("f")); err != nil || out.String() != "ef" {
		t.Errorf("after flush: %q, %v", out.String(), err)
	}
}

// terminal is what a terminal shows of what is written to it, of which it knows what a bar needs. Its lines
// wrap, as long as its width does not change.
type terminal struct {
	t     *testing.T
	width int
	rows  [][]rune
	row   int
	col   int
}

func (v *terminal) put(r rune) {
	if v.col == v.width {
		v.row, v.col = v.row+1, 0
	}
	for len(v.rows) <= v.row {
		v.rows = append(v.rows, nil)
	}
	for len(v.rows[v.row]) <= v.col {
		v.rows[v.row] = append(v.rows[v.row], ' ')
	}
	v.rows[v.row][v.col] = r
	v.col++
}

// narrow gives the terminal fewer columns: its last line wraps.
func (v *terminal) narrow(width int) {
	last := v.rows[v.row]
	v.rows[v.row], v.col, v.width = nil, 0, width
	for _, r := range last {
		v.put(r)
	}
}

// Write implements io.Writer.
func (v *terminal) Write(data []byte) (int, error) {
	for text := string(data); text != ""; {
		var n int
		switch {
		case text[0] == '\r':
			v.col, text = 0, text[1:]
		case text[0] == '\n':
			v.row, v.col, text = v.row+1, 0, text[1:]
		case strings.HasPrefix(text, "\x1b[J"):
			if v.row < len(v.rows) {
				v.rows = v.rows[:v.row+1]
				v.rows[v.row] = v.rows[v.row][:min(v.col, len(v.rows[v.row]))]
			}
			text = text[3:]
		case strings.HasPrefix(text, "\x1b["):
			if _, err := fmt.Sscanf(text, "\x1b[%dA", &n); err != nil {
				v.t.Fatalf("the terminal does not know %q", text)
			}
			v.row -= n
			text = text[strings.IndexByte(text, 'A')+1:]
		default:
			v.put([]rune(text)[0])
			text = text[len(string([]rune(text)[0])):]
		}
	}
	return len(data), nil
}

// text is what stands on the terminal.
func (v *terminal) text() string {
	var lines []string
	for _, row := range v.rows {
		lines = append(lines, strings.TrimRight(string(row), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// The bar is on the terminal while something is done, at once and below what is printed, and nothing of it is
// left in the end, however narrow the terminal is or becomes, and where an interrupt is shown.
func TestBarLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		width, narrow int
	}{
		{"wide", 100, 100}, {"as usual", 80, 80}, {"narrow", 20, 20}, {"too narrow for anything", 5, 5}, {"made narrower", 80, 13}, {"unknown", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := &terminal{t: t, width: tt.width}
				width := func() int { return v.width }
				if tt.width == 0 {
					v.width = defaultColumns
					width = func() int { return 0 }
				}
				s := New(&strings.Builder{}, &strings.Builder{}, false)
				s.begin(v, v, width, true)
				s.Say("starting workers for something with a long name")
				if tt.width > 20 && !strings.Contains(v.text(), "starting workers") {
					t.Errorf("at first it shows %q", v.text())
				}
				s.Added(7)
				s.Estimate()
				for i := range 5 {
					s.Ended(i != 2)
					time.Sleep(time.Second)
					synctest.Wait()
					if tt.width == 100 && !strings.Contains(v.text(), fmt.Sprintf("%d of 7 [", i+1)) {
						t.Errorf("after %d it shows %q", i+1, v.text())
					}
					_, _ = fmt.Fprintf(s.Out, "%d\n", i)
					if err := s.Out.Flush(); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if tt.width == 100 && (!strings.Contains(v.text(), "1 failed 6s, 2s left") || strings.Count(v.text(), "\n") != 5) {
					t.Errorf("it shows %q", v.text())
				}
				if tt.narrow < tt.width {
					v.narrow(tt.narrow)
				} else if tt.width >= leastColumns {
					_, _ = v.Write([]byte("^C"))
				}
				_, _ = s.Err.Write([]byte("oh"))
				if err := s.Finish(); err != nil {
					t.Fatal(err)
				}
				if err := s.Finish(); err != nil {
					t.Fatal(err)
				}
				if want := "0\n1\n2\n3\n4\noh"; v.text() != want {
					t.Errorf("left %q, want %q", v.text(), want)
				}
			})
		})
	}
}

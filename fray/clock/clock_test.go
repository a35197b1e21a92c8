package clock_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray/clock"
)

func TestLineBeginsAtTheWallAndGoesByTheMonotonicClock(t *testing.T) {
	t.Parallel()
	wall, passed := time.Unix(1_750_000_000, 0), 7*time.Second
	c := clock.Clock{Wall: func() time.Time { return wall }, Monotonic: func() time.Duration { return passed }}
	line := c.Line()
	if !line.Start().Equal(wall) || line.Now() != wall.UnixNano() {
		t.Errorf("line begins at %v and stands at %d, want %v", line.Start(), line.Now(), wall)
	}
	begun := wall
	for _, set := range []time.Duration{-time.Hour, 2 * time.Hour, 0} {
		wall = begun.Add(set)
		if got := line.Now(); got != begun.UnixNano() {
			t.Errorf("after the wall clock was set by %v the line stands at %d, want %d", set, got, begun.UnixNano())
		}
	}
	passed += time.Second
	if got, want := line.Now(), begun.Add(time.Second).UnixNano(); got != want {
		t.Errorf("a second later the line stands at %d, want %d", got, want)
	}
}

func TestLineIsAdvancedAndNeverSetBack(t *testing.T) {
	t.Parallel()
	wall, passed := time.Unix(1_750_000_000, 0), time.Duration(0)
	line := clock.Clock{Wall: func() time.Time { return wall }, Monotonic: func() time.Duration { return passed }}.Line()
	line.Advance(wall.Add(time.Hour).UnixNano())
	line.Advance(wall.UnixNano())
	passed += time.Second
	if got, want := line.Now(), wall.Add(time.Hour+time.Second).UnixNano(); got != want || !line.Start().Equal(wall) {
		t.Errorf("the line stands at %d and began at %v, want %d and %v", got, line.Start(), want, wall)
	}
}

func TestFileSetsTheWallClock(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "clock")
	wall := clock.SetBy(file)
	for _, c := range []struct {
		text string
		by   time.Duration
	}{{"", 0}, {"-1h\n", -time.Hour}, {"1h30m", 90 * time.Minute}, {"soon", 0}} {
		if c.text != "" {
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if off := time.Until(wall()) - c.by; off.Abs() > time.Minute {
			t.Errorf("with %q in the file the wall clock is off by %v, want %v", c.text, off+c.by, c.by)
		}
	}
}

func TestZeroClockIsTheSystems(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		line := clock.Clock{}.Line()
		time.Sleep(3 * time.Second)
		if got, want := line.Now(), begun.Add(3*time.Second).UnixNano(); got != want {
			t.Errorf("the line stands at %d, want %d", got, want)
		}
		if !line.Start().Equal(begun) || !(clock.Clock{}).Now().Equal(time.Now()) {
			t.Errorf("line began at %v, want %v", line.Start(), begun)
		}
	})
}

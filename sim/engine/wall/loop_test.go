package wall

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLoop()
		time.Sleep(time.Hour)
		if l.Elapsed() != 0 {
			t.Error("the clock goes before the start")
		}
		l.Begin()
		var got []string
		note := func(what string) func() { return func() { got = append(got, what) } }
		l.At(3*time.Second, note("third"))
		l.After(time.Second, note("first"))
		l.After(time.Second, note("second"))
		go func() {
			time.Sleep(2 * time.Second)
			l.Do(note("done"))
			l.Do(func() { l.After(5*time.Second, note("late")) })
		}()
		if err := l.RunUntil(func() bool { return l.Elapsed() >= 4*time.Second }); err != nil {
			t.Error(err)
		}
		if want := []string{"first", "second", "done", "third"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		wrong := errors.New("wrong")
		l.Post(func() { l.FailIf(nil); l.FailIf(wrong); l.FailIf(errors.New("later")) })
		if err := l.RunUntil(func() bool { return false }); !errors.Is(err, wrong) {
			t.Errorf("got %v", err)
		}
		close(l.closed)
		l.Do(note("never"))
		synctest.Wait()
	})
}

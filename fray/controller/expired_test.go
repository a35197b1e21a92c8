package controller_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
)

// Who looks for a worker that is gone finds it in the controller's log, once.
func TestExpiredSessionIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		c := inBubble(t, controller.Config{Store: store.NewMemory(), Logger: slog.New(slog.NewTextHandler(log, nil))})
		told := func() []string {
			synctest.Wait()
			log.mu.Lock()
			defer log.mu.Unlock()
			var told []string
			for line := range strings.Lines(log.buf.String()) {
				if strings.Contains(line, "session expired") {
					told = append(told, line)
				}
			}
			return told
		}
		c.submit("a", "b")
		c.worker("gone").lease(2)
		time.Sleep(14 * time.Second)
		if lines := told(); len(lines) > 0 {
			t.Errorf("before the session is over: %v", lines)
		}
		time.Sleep(time.Minute)
		if lines := told(); len(lines) != 1 || !strings.Contains(lines[0], "worker_id=gone silent=15s attempts=2\n") {
			t.Errorf("the log tells %q", lines)
		}
	})
}

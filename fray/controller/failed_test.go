package controller_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
)

// A controller whose store fails ends by that, and does not wait until somebody asks for something.
func TestIdleControllerEndsWithItsStore(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s, err := pebblestore.Open(pebblestore.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	c, err := controller.New(controller.Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(t.Context()) }()
	within(t, "readiness", c.Ready())
	if err := os.Rename(dir, dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, store.ErrFailed) {
			t.Errorf("run: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it goes on without its directory")
	}
	if err := s.Close(); !errors.Is(err, store.ErrFailed) {
		t.Errorf("close: %v", err)
	}
}

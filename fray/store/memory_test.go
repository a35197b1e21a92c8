package store_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return store.NewMemory() })
}

package sim_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/sim/order"
)

func TestMain(m *testing.M) {
	if order.Followed() {
		os.Exit(m.Run()) // Killed processes leave their goroutines behind, stopped.
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/frayrpc/fray/sim_test.forgetful"))
}

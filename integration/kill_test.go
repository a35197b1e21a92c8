package integration_test

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// killsVariable says how often the controller is killed. make kills sets it.
const killsVariable = "FRAY_KILLS"

// The controller is killed at random moments under load, and started again on the same directory.
// What it has acknowledged it knows for ever, and nobody is told two ends of one task.
func TestControllerIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	kills := timesOr(t, killsVariable, 8)
	c := newCluster(t, "--listen", "127.0.0.1:"+freePort(t), "--data-dir", t.TempDir())
	for i := range 3 {
		c.worker("w"+strconv.Itoa(i), "--slots", "4")
	}
	first := c.incarnation()
	l := startLoad(t, c)
	for range kills {
		l.goesOn() // All are back before it dies again, or nobody would be there in most of its lives.
		outage(t, 20*time.Millisecond+time.Duration(rand.Int64N(int64(300*time.Millisecond))))
		c.controller.kill()
		c.reborn()
	}
	l.end()
	if got := c.incarnation() - first; got != uint64(kills) { // A small count.
		t.Errorf("the incarnation has risen by %d in %d kills", got, kills)
	}
	l.lookBack()
	l.judge(strconv.Itoa(kills) + " kills")
}

// timesOr returns how often to do something: as often as a variable says, or as is usual.
func timesOr(t *testing.T, variable string, usual int) int {
	t.Helper()
	v := os.Getenv(variable)
	if v == "" {
		return usual
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		t.Fatalf("%s is %q, and must be a number of times", variable, v)
	}
	return n
}

// incarnation is the controller's.
func (c *cluster) incarnation() uint64 {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.context(), patience)
	defer cancel()
	info, err := c.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{})
	if err != nil {
		c.t.Fatal(err)
	}
	return info.GetControllerIncarnation()
}

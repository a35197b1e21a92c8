package maprun

import (
	"context"
	"time"

	"github.com/frayrpc/fray/internal/sleep"
)

// pace has some time between two commands. It is for one goroutine.
type pace struct {
	each time.Duration // 0: none
	last time.Time
}

// wait returns when the next command may be submitted, or with an error when ctx is done.
func (p *pace) wait(ctx context.Context) error {
	if p.each == 0 {
		return nil
	}
	if !p.last.IsZero() {
		if err := sleep.For(ctx, p.each-time.Since(p.last)); err != nil {
			return err
		}
	}
	p.last = time.Now()
	return nil
}

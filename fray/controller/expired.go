package controller

import "github.com/frayrpc/fray/fray/core"

// maxExpiredTold is how many sessions that end in one step have a line in the log. Of more, as when a network is cut,
// there is a line that counts them.
const maxExpiredTold = 20

// tellExpired logs the workers that are taken for gone.
func (c *Controller) tellExpired(notes []core.ExpiredNote) {
	for i := range notes[:min(len(notes), maxExpiredTold)] {
		n := &notes[i]
		c.cfg.Logger.Warn("a worker's session expired: its attempts are taken from it", "worker_id", n.Worker, "silent", n.Silent, "attempts", n.Attempts)
	}
	if more := len(notes) - maxExpiredTold; more > 0 {
		held := 0
		for i := range notes[maxExpiredTold:] {
			held += notes[maxExpiredTold+i].Attempts
		}
		c.cfg.Logger.Warn("sessions of more workers expired at the same time", "workers", more, "attempts", held)
	}
}

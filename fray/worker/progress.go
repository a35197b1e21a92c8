package worker

import (
	"github.com/frayrpc/fray/fray/core/slots"
	runner "github.com/frayrpc/fray/fray/internal/attempt"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
)

// note keeps what an attempt says of itself for the next heartbeat.
func (w *Worker) note(a *attempt, p runner.Progress) {
	told := &frayv1.Progress{Message: p.Message}
	if p.Known {
		told.Share = &p.Share
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !a.over {
		a.progress = told
		w.speaking = true
	}
}

// news is what attempts have said of themselves that a session was not told, as far as a heartbeat has
// room.
type news struct {
	attempts []*attempt
	progress []*frayv1.Progress
}

// progress returns the news for a session. The caller holds w.mu.
func (w *Worker) progress(s *session) (n news) {
	if !w.speaking {
		return n
	}
	w.speaking = false
	for _, v := range w.slots.Attempts() {
		a, _ := v.Value.(*attempt)
		if a.progress == nil || v.Phase != slots.Running || a.heardBy == s && a.heard == a.progress {
			continue
		}
		w.speaking = true // Until it was heard.
		if len(n.attempts) == limit.ProgressCount {
			break
		}
		n.attempts, n.progress = append(n.attempts, a), append(n.progress, a.progress)
	}
	return n
}

// message returns the news as a heartbeat has it.
func (n *news) message() []*frayv1.AttemptProgress {
	list := make([]*frayv1.AttemptProgress, len(n.attempts))
	for i, a := range n.attempts {
		list[i] = &frayv1.AttemptProgress{LeaseToken: a.wire.GetLeaseToken(), Progress: n.progress[i]}
	}
	return list
}

// told notes that the news were heard. The caller holds w.mu.
func (n *news) told(s *session) {
	for i, a := range n.attempts {
		a.heard, a.heardBy = n.progress[i], s
	}
}

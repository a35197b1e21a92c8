package check

import "fmt"

// oneLeader holds controllers that share a database to lead one at a time. Who has taken the lead
// leads in a new epoch, until the next one begins:
//
//   - epochs rise;
//   - what is committed is the leader's, in its epoch;
//   - sessions and leases that are given out in an epoch were asked for before the next one began: who
//     no longer leads answers nothing that was asked since.
//
// It is vacuous where controllers share no database.
type oneLeader struct {
	oracle

	leads *Event // when the last took the lead; nil: none has
}

func newOneLeader() *oneLeader {
	return &oneLeader{oracle: oracle{"one-leader", "Of several controllers one at a time commits and answers."}}
}

// Observe implements Oracle.
func (o *oneLeader) Observe(e *Event, j *Judge) {
	switch {
	case e.Kind == LeadTaken:
		j.Check()
		if o.leads != nil && e.Incarnation <= o.leads.Incarnation {
			j.Violated("", fmt.Sprintf("epoch %d begins after epoch %d", e.Incarnation, o.leads.Incarnation), o.leads, e)
		}
		o.leads = e
	case o.leads == nil:
	case e.Kind == LeadCommit:
		j.Check()
		if e.Incarnation != o.leads.Incarnation || e.Host != o.leads.Host {
			j.Violated("", fmt.Sprintf("%s commits in epoch %d, and %s leads in epoch %d", e.Host, e.Incarnation, o.leads.Host, o.leads.Incarnation), o.leads, e)
		}
	case e.Incarnation != 0 && (e.Kind == GrantReply || e.Kind == RegisterReply):
		j.Check()
		if e.Incarnation < o.leads.Incarnation && e.follows(o.leads.Seq) {
			j.Violated(e.Task, fmt.Sprintf("has something given out in epoch %d that was asked for in epoch %d", e.Incarnation, o.leads.Incarnation), o.leads, e)
		}
	}
}

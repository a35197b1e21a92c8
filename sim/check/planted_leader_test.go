package check_test

import "github.com/frayrpc/fray/sim/check"

// lead has a controller take the lead, or commit.
func (s *script) lead(kind check.EventKind, host string, epoch uint64) {
	s.History.Add(check.Event{Kind: kind, Host: host, Incarnation: epoch})
}

// leaderPlants are about controllers that share a database.
var leaderPlants = []plant{
	{
		oracle: "one-leader", name: "an epoch comes again", want: "epoch 2 begins after epoch 2",
		good: func(s *script) { s.lead(check.LeadTaken, "a", 2); s.lead(check.LeadTaken, "b", 3) },
		bad:  func(s *script) { s.lead(check.LeadTaken, "a", 2); s.lead(check.LeadTaken, "b", 2) },
	},
	{
		oracle: "one-leader", name: "who was replaced commits", want: "a commits in epoch 2, and b leads in epoch 3",
		good: func(s *script) {
			s.lead(check.LeadTaken, "a", 2)
			s.lead(check.LeadCommit, "a", 2)
			s.lead(check.LeadTaken, "b", 3)
			s.lead(check.LeadCommit, "b", 3)
		},
		bad: func(s *script) {
			s.lead(check.LeadTaken, "a", 2)
			s.lead(check.LeadTaken, "b", 3)
			s.lead(check.LeadCommit, "a", 2)
		},
	},
	{
		oracle: "one-leader", name: "who was replaced grants", want: "has something given out in epoch 1 that was asked for in epoch 2",
		good: func(s *script) {
			s.lead(check.LeadTaken, "a", 1)
			s.register("w")
			s.submit("t")
			c := s.begin() // It was asked before.
			s.lead(check.LeadTaken, "b", 2)
			s.granted(c, "w", "t", 1)
			s.view("t", running, 1)
		},
		bad: func(s *script) {
			s.lead(check.LeadTaken, "a", 1)
			s.register("w")
			s.submit("t")
			s.lead(check.LeadTaken, "b", 2)
			s.grant("w", "t", 1)
			s.view("t", running, 1)
		},
	},
}

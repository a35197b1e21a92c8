package timeline

import (
	"cmp"
	"strconv"
	"time"

	"github.com/frayrpc/fray/sim/engine"
)

// index numbers texts in the order in which they come.
type index struct {
	texts   []string
	numbers map[string]int
}

func newIndex(texts ...string) *index {
	x := &index{texts: []string{}, numbers: map[string]int{}}
	for _, text := range texts {
		x.of(text)
	}
	return x
}

func (x *index) of(text string) int {
	n, ok := x.numbers[text]
	if !ok {
		n = len(x.texts)
		x.texts, x.numbers[text] = append(x.texts, text), n
	}
	return n
}

// A builder makes data of what was collected.
type builder struct {
	data

	hosts, procedures, functions, tasks *index
}

// build returns what the script of the page is given.
func (c *Collector) build(r *engine.Result) *data {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := &builder{hosts: newIndex(), procedures: newIndex(), functions: newIndex(), tasks: newIndex()}
	b.Virtual, b.Healed, b.Judged = r.Virtual, c.healed, c.judged
	b.HealsFaults = c.scenario.Heal != nil
	roles := map[string]string{}
	for _, h := range c.scenario.Hosts() {
		roles[h.Name] = h.Role
		b.hosts.of(h.Name)
	}
	b.addMessages(&c.messages)
	b.addAttempts(&c.attempts)
	b.addFaults(&c.faults, r)
	b.addStates(&c.states)
	b.Violation = b.violation(r)
	for _, name := range b.hosts.texts {
		role := cmp.Or(roles[name], "auditor")
		b.Hosts = append(b.Hosts, hostData{name, role})
	}
	b.Procedures, b.Functions, b.Tasks = b.procedures.texts, b.functions.texts, b.tasks.texts
	return &b.data
}

func (b *builder) missing(g *gap) {
	if g != nil {
		b.Gaps = append(b.Gaps, g)
	}
}

func (b *builder) addMessages(all *messages) {
	list, missing := all.kept.all("messages")
	b.missing(missing)
	var carries []int
	carries, b.Carried = all.carried(list, b.tasks.of)
	kinds, fates, codes := newIndex(), newIndex(fateDelivered), newIndex("")
	m := &b.Messages
	var before time.Duration
	for i, msg := range list {
		m.Sent, before = append(m.Sent, msg.sent-before), msg.sent
		m.Took = append(m.Took, msg.over-msg.sent)
		m.Kind = append(m.Kind, kinds.of(msg.kind.String()))
		m.From, m.To = append(m.From, b.hosts.of(msg.from)), append(m.To, b.hosts.of(msg.to))
		m.Procedure = append(m.Procedure, b.procedures.of(msg.procedure))
		m.Fate, m.Fault = append(m.Fate, fates.of(msg.fate)), append(m.Fault, msg.fault)
		m.Code = append(m.Code, codes.of(msg.code))
		m.Size, m.Call = append(m.Size, msg.size), append(m.Call, msg.call)
		m.Carries = append(m.Carries, carries[i])
	}
	m.Kinds, m.Fates, m.Codes = kinds.texts, fates.texts, codes.texts
}

func (b *builder) addAttempts(all *attempts) {
	list, missing := all.all()
	b.missing(missing)
	for _, a := range list {
		outcome, detail := a.outcome()
		d := attemptData{
			Task: b.tasks.of(a.task), Function: b.functions.of(a.function), Number: a.number, Host: b.hosts.of(a.host),
			Granted: a.granted, Started: a.started, Ended: a.ended, Outcome: outcome, Detail: detail,
			Stopped: a.stopped, Reported: a.reportedAt, Token: strconv.FormatUint(a.token, 16),
		}
		if a.verdict != 0 {
			d.Verdict = a.verdict.String()
		}
		b.Attempts = append(b.Attempts, d)
	}
}

func (b *builder) addFaults(log *faultLog, r *engine.Result) {
	for i, f := range log.faults {
		d := faultData{ID: f.id, Kind: string(f.rule.Action.Kind), Rule: f.rule.String(), Tints: f.tints}
		if i < len(r.Faults) {
			d.Fired = r.Faults[i].Fired
		}
		b.Faults = append(b.Faults, d)
	}
	spans, missing := log.spans.all("fault windows")
	b.missing(missing)
	for _, s := range spans {
		d := spanData{Fault: s.fault.index, From: s.From, Until: s.Until}
		for _, host := range s.Hosts {
			d.Hosts = append(d.Hosts, b.hosts.of(host))
		}
		b.Spans = append(b.Spans, d)
	}
	firings, missing := log.firings.all("injected faults")
	b.missing(missing)
	for i := range firings {
		f, d := &firings[i], &b.Firings
		d.At, d.Fault = append(d.At, f.at), append(d.Fault, f.fault.index)
		d.Host, d.From, d.To = append(d.Host, b.hosts.of(f.host)), append(d.From, b.hosts.of(f.from)), append(d.To, b.hosts.of(f.to))
		d.Procedure = append(d.Procedure, b.procedures.of(f.procedure))
	}
}

func (b *builder) addStates(all *states) {
	list, missing := all.kept.all("states of hosts")
	b.missing(missing)
	for _, s := range list {
		b.States = append(b.States, stateData{Host: b.hosts.of(s.host), Kind: s.kind, Why: s.why, From: s.from, Until: s.until})
	}
}

package check

import (
	"connectrpc.com/connect"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

func (c *call) getTaskResults(res any, _ error) {
	m, _ := res.(*frayv1.GetTaskResultsResponse) // Without one there are no results.
	events := make([]Event, 0, len(m.GetResults())+len(m.GetUnknownTaskIds()))
	for _, r := range m.GetResults() {
		events = append(events, c.result(r))
	}
	for _, id := range m.GetUnknownTaskIds() {
		e := c.reply(ReadReply)
		e.Task, e.Answer, e.Code = id, NotFound, connect.CodeNotFound
		events = append(events, e)
	}
	c.add(events...)
}

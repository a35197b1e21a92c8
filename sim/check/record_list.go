package check

import (
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// maxLists bounds the lists that one process may be in the middle of.
const maxLists = 100

// A list is the pages of one that have come.
type list struct {
	begun instant // of the call for the first
	tasks []string
}

func (c *call) listTasks(req *frayv1.ListTasksRequest) func(any, error) {
	return func(res any, err error) {
		m, ok := res.(*frayv1.ListTasksResponse)
		if err != nil || !ok {
			return
		}
		l := c.listOf(req.GetPageToken())
		page := c.reply(ListPage)
		page.Job, page.Statuses = req.GetJobId(), req.GetStatuses()
		events := append(make([]Event, 0, len(m.GetTasks())+2), page)
		for _, t := range m.GetTasks() {
			events = append(events, c.read(t))
			if l != nil {
				l.tasks = append(l.tasks, t.GetTaskId())
			}
		}
		switch next := m.GetNextPageToken(); {
		case l == nil:
		case next == "":
			end := page
			end.Kind, end.Invoked, end.InvokedAt, end.List = ListEnd, l.begun.seq, l.begun.at, l.tasks
			events = append(events, end)
		default:
			c.goOn(next, l)
		}
		c.add(events...)
	}
}

// listOf returns the list that a page continues; nil if nobody knows how it began.
func (c *call) listOf(token string) *list {
	if token == "" {
		return &list{begun: c.begun}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lists[token]
	delete(c.lists, token) // A page that is asked for twice is of two lists, of which one is enough.
	return l
}

// goOn keeps a list of which there is more.
func (c *call) goOn(token string, l *list) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lists == nil || len(c.lists) >= maxLists {
		c.lists = make(map[string]*list)
	}
	c.lists[token] = l
}

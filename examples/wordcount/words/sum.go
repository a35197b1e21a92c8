package words

import (
	"context"
	"iter"

	"github.com/frayrpc/fray/fray"
)

// FanIn is how many tasks one task adds up.
const FanIn = 8

// A Sum is of tasks that were submitted, and of which nobody has waited for any.
type Sum struct {
	// Total will have the counts of all texts.
	Total *Counted
	// Counts and Merges are how many tasks there are of each kind.
	Counts, Merges int

	// levels have the tasks that no task adds up yet, those of texts first: fewer than FanIn on
	// each.
	levels [][]*Counted
}

// Submit submits what counts texts, and what adds up the counts. It takes a text when the task of
// the one before is accepted, and holds a few futures for any number of texts.
func Submit(ctx context.Context, texts iter.Seq2[fray.Ref[[]byte], error]) (*Sum, error) {
	s := new(Sum)
	for text, err := range texts {
		if err != nil {
			return nil, err
		}
		f, err := Count.Run(ctx, text)
		if err != nil {
			return nil, err
		}
		s.Counts++
		if err := s.add(ctx, 0, f); err != nil {
			return nil, err
		}
	}
	return s, s.finish(ctx)
}

// add puts a task on a level, whose tasks are added up when they are enough.
func (s *Sum) add(ctx context.Context, level int, f *Counted) error {
	for ; ; level++ {
		if level == len(s.levels) {
			s.levels = append(s.levels, nil)
		}
		s.levels[level] = append(s.levels[level], f)
		if len(s.levels[level]) < FanIn {
			return nil
		}
		var err error
		if f, err = s.merge(ctx, s.levels[level]); err != nil {
			return err
		}
		s.levels[level] = nil
	}
}

// finish adds up what is left on all levels.
func (s *Sum) finish(ctx context.Context) (err error) {
	var rest []*Counted
	for _, level := range s.levels {
		rest = append(level, rest...) // At most FanIn: one came from below.
		if len(rest) > 1 {
			if s.Total, err = s.merge(ctx, rest); err != nil {
				return err
			}
			rest = []*Counted{s.Total}
		}
	}
	s.levels = nil
	if len(rest) == 1 {
		s.Total = rest[0]
		return nil
	}
	s.Total, err = s.merge(ctx, nil)
	return err
}

func (s *Sum) merge(ctx context.Context, parts []*Counted) (*Counted, error) {
	s.Merges++
	return Merge.Run(ctx, parts)
}

// Package words counts the words of many files by tasks that depend on each other.
//
// Texts of a MiB each are put as objects, since a worker has not the files of its client. A task
// counts each text, a tree of tasks adds the counts up, and one more makes a summary of the sum.
// All are submitted at once: a task starts when those that it needs have completed.
//
//	count  count  count ...  count  count ...     a task for each text
//	   \     |     /            \     /
//	     merge    ...            merge            each of up to 8 tasks below
//	          \                   /
//	               merge                          the sum
//	                 |
//	             summarize                        what the client reads
package words

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode"

	"github.com/frayrpc/fray/fray"
)

const (
	// MaxRunes is the length of the longest word. What is longer is data, and not counted.
	MaxRunes = 128
	// TopWords is how many words a summary names at most.
	TopWords = 10
)

// Counts say how often each word occurs.
type Counts map[string]int

// Add counts the words that r has: letters, digits and underscores in a row of which the first is
// no digit, as in Go.
func (c Counts) Add(r io.Reader) error {
	in := bufio.NewReader(r)
	var word []rune
	digits := false // the row begins with one
	for {
		char, _, err := in.ReadRune()
		if err == nil && (unicode.IsLetter(char) || unicode.IsDigit(char) || char == '_') {
			digits = digits || len(word) == 0 && unicode.IsDigit(char)
			if len(word) <= MaxRunes {
				word = append(word, char)
			}
			continue
		}
		if n := len(word); n > 0 && n <= MaxRunes && !digits {
			c[string(word)]++
		}
		word, digits = word[:0], false
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Summary is what a client wants to know of counts.
type Summary struct {
	Words, Distinct int
	Top             []Word // the most frequent first
}

// Word is how often a word occurs.
type Word struct {
	Text  string
	Count int
}

// Summary makes one. Of words that occur as often the first one in the alphabet goes first.
func (c Counts) Summary() Summary {
	s := Summary{Distinct: len(c), Top: make([]Word, 0, len(c))}
	for text, n := range c {
		s.Words += n
		s.Top = append(s.Top, Word{text, n})
	}
	slices.SortFunc(s.Top, func(a, b Word) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Text, b.Text))
	})
	s.Top = slices.Clone(s.Top[:min(len(s.Top), TopWords)]) // Or all words stay in memory.
	return s
}

// Counted is what a task has counted, or will have.
type Counted = fray.Future[fray.Ref[Counts]]

// The tasks. Counts of many texts are large, so that results are refs to them.
var (
	// Count counts the words of a text.
	Count = fray.Define("wordcount/count", func(ctx context.Context, text fray.Ref[[]byte]) (fray.Ref[Counts], error) {
		body, err := text.Open(ctx)
		if err != nil {
			return fray.Ref[Counts]{}, err
		}
		counts := make(Counts)
		if err := errors.Join(counts.Add(body), body.Close()); err != nil {
			return fray.Ref[Counts]{}, err
		}
		return fray.Put(ctx, counts)
	})

	// Merge adds up what other tasks have counted.
	Merge = fray.Define("wordcount/merge", func(ctx context.Context, parts []*Counted) (fray.Ref[Counts], error) {
		sum := make(Counts)
		for _, part := range parts {
			counts, err := read(ctx, part)
			if err != nil {
				return fray.Ref[Counts]{}, err
			}
			for word, n := range counts {
				sum[word] += n
			}
		}
		return fray.Put(ctx, sum)
	})

	// Summarize makes a summary of what another task has counted.
	Summarize = fray.Define("wordcount/summarize", func(ctx context.Context, sum *Counted) (Summary, error) {
		counts, err := read(ctx, sum)
		return counts.Summary(), err
	})
)

// Functions are what a worker executes.
func Functions() []fray.Function { return []fray.Function{Count, Merge, Summarize} }

// read returns the counts of a task that has ended.
func read(ctx context.Context, f *Counted) (Counts, error) {
	ref, err := f.Get(ctx)
	if err != nil {
		return nil, fmt.Errorf("read what was counted: %w", err)
	}
	return ref.Get(ctx)
}

// Equal says whether two summaries are the same.
func (s Summary) Equal(other Summary) bool {
	return s.Words == other.Words && s.Distinct == other.Distinct && slices.Equal(s.Top, other.Top)
}

// CountAll counts the words of a tree of files in this goroutine.
func CountAll(tree Tree) (Counts, error) {
	counts := make(Counts)
	for file, err := range tree.files() {
		if err != nil {
			return nil, err
		}
		if err := tree.read(file, counts.Add); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

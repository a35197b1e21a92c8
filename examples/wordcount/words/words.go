// Package words counts the words of many files by tasks that depend on each other, and has an actor keep
// the most frequent ones.
//
// Texts of a MiB each are put as objects, since a worker has not the files of its client. A task
// counts each text, a tree of tasks adds the counts up, and some more each rank a part of the words and offer
// the best to the actor. All are submitted at once: a task starts when those that it needs have completed.
//
//	count  count  count ...  count  count ...     a task for each text
//	   \     |     /            \     /
//	     merge    ...            merge            each of up to 8 tasks below
//	          \                   /
//	               merge                          the sum
//	            /    |    \
//	        rank    rank   rank                   each of a part of all words
//	            \    |    /
//	               board                          an actor, which the client asks in the end
package words

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
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

// Summary makes one.
func (c Counts) Summary() Summary { return c.summary(0, 1) }

// summary is Summary of one part of the words, of so many.
func (c Counts) summary(part, parts uint32) Summary {
	s := Summary{}
	for text, n := range c {
		h := fnv.New32a()
		h.Write([]byte(text))
		if h.Sum32()%parts != part {
			continue
		}
		s.Words += n
		s.Distinct++
		s.Top = append(s.Top, Word{text, n})
	}
	s.Top = best(s.Top)
	return s
}

// best returns the most frequent of some words, each once. Of words that occur as often the first one in the
// alphabet goes first.
func best(words []Word) []Word {
	slices.SortFunc(words, func(a, b Word) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Text, b.Text))
	})
	words = slices.Compact(words)
	return slices.Clone(words[:min(len(words), TopWords)]) // Or all words stay in memory.
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

	// Rank makes a summary of a part of what another task has counted, and offers its words to a board.
	Rank = fray.Define("wordcount/rank", func(ctx context.Context, in Part) (Summary, error) {
		counts, err := read(ctx, in.Sum)
		if err != nil {
			return Summary{}, err
		}
		s := counts.summary(in.Part, in.Parts)
		_, err = Offer.Call(ctx, in.Board, s.Top)
		return s, err
	})
)

// Part is a part of the words that a task has counted, and the board that they are for.
type Part struct {
	Sum         *Counted
	Part, Parts uint32
	Board       *fray.Actor[*Board]
}

// Board is the state of an actor that keeps the most frequent words of those that it was offered. What it has
// outlives the worker that it is on; and to be offered the same again changes nothing, so its calls
// may be tried again.
type Board struct{ words []Word }

// Checkpoint implements fray.Checkpointer.
func (b *Board) Checkpoint() ([]byte, error) { return json.Marshal(b.words) }

// Restore implements fray.Checkpointer.
func (b *Board) Restore(checkpoint []byte) error { return json.Unmarshal(checkpoint, &b.words) }

const (
	// parts is how many tasks rank the words, and patience how many workers each and the board may lose.
	parts    = 4
	patience = 100
)

// Boards are such actors, and Offer and Best what they are called by.
var (
	Boards = fray.DefineActor("wordcount/board", func(context.Context, struct{}) (*Board, error) { return &Board{}, nil }, fray.WithMaxRestarts(patience))

	Offer = fray.DefineMethod(Boards, "offer", func(_ context.Context, b *Board, words []Word) (int, error) {
		b.words = best(append(b.words, words...))
		return len(b.words), nil
	}, fray.WithMaxWorkerLosses(patience))

	Best = fray.DefineMethod(Boards, "best", func(_ context.Context, b *Board, _ struct{}) ([]Word, error) { return b.words, nil },
		fray.WithMaxWorkerLosses(patience))
)

// Functions are what a worker executes.
func Functions() []fray.Function {
	return []fray.Function{Count, Merge, Rank, Boards, Offer, Best}
}

// Summarize returns a summary of what a task has counted, or will have.
func Summarize(ctx context.Context, sum *Counted) (s Summary, err error) {
	board, err := Boards.Create(ctx, struct{}{})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, board.Delete(ctx)) }()
	shares := make([]Part, parts)
	for i := range shares {
		shares[i] = Part{Sum: sum, Part: uint32(i), Parts: parts, Board: board}
	}
	ranked, err := Rank.RunAll(ctx, shares)
	if err != nil {
		return s, err
	}
	for _, f := range ranked {
		share, err := f.Get(ctx)
		if err != nil {
			return s, err
		}
		s.Words += share.Words
		s.Distinct += share.Distinct
	}
	s.Top, err = Best.Call(ctx, board, struct{}{})
	return s, err
}

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

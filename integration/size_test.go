package integration_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/integration/tasks"
)

const mebibyte = 1 << 20

func TestSizes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "--max-payload-bytes", "8388608")
	c.worker("w", "--slots", "4")
	random := make([]byte, 9*mebibyte) // what cannot be compressed
	if _, err := rand.NewChaCha8([32]byte{}).Read(random); err != nil {
		t.Fatal(err)
	}
	playOn(t, c, []scenario{
		{
			name: "large input and result", protects: "megabytes go there and come back",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				in := random[:5*mebibyte]
				f := run(ctx, t, tasks.Reverse, in)
				g := run(ctx, t, tasks.Digest, in)
				out := get(ctx, t, f)
				if len(out) != len(in) || out[0] != in[len(in)-1] || !bytes.Equal(out[len(in)-100:], reversed(in[:100])) {
					t.Error("what came back is not what was sent")
				}
				if sum := sha256.Sum256(in); get(ctx, t, g) != hex.EncodeToString(sum[:]) {
					t.Error("the worker got something else")
				}
			},
		},
		{
			name: "many large at once", protects: "results that fill an answer do not hold up those that come after",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				sizes := []int{3 * mebibyte, 10, 5 * mebibyte, 0, 3 * mebibyte, 3 * mebibyte, 1, 2 * mebibyte}
				futures, err := tasks.Zeros.RunAll(ctx, sizes)
				if err != nil {
					t.Fatal(err)
				}
				for i, f := range futures {
					if v := get(ctx, t, f); len(v) != sizes[i] {
						t.Errorf("%d bytes, want %d", len(v), sizes[i])
					}
				}
			},
		},
		{
			name: "input over the limit", protects: "what is too large is refused with the size and the limit, and takes nothing with it",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				futures, err := tasks.Digest.RunAll(ctx, [][]byte{random[:10], random, random[:20]})
				if err == nil || !strings.Contains(err.Error(), "9437184") || !strings.Contains(err.Error(), "8388608") {
					t.Errorf("got %v", err)
				}
				if len(futures) != 3 {
					t.Fatalf("%d futures", len(futures))
				}
				get(ctx, t, futures[0])
				get(ctx, t, futures[2])
				if _, err := futures[1].Get(ctx); err == nil {
					t.Error("the one that is too large has a value")
				}
			},
		},
		{
			name: "input over every limit", protects: "what no controller takes is refused before it is sent",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				_, err := tasks.Digest.Run(ctx, make([]byte, 64*mebibyte+1))
				if err == nil || !strings.Contains(err.Error(), "larger than 67108864") {
					t.Errorf("got %v", err)
				}
			},
		},
		{
			name: "result over the limit", protects: "a result that is too large ends its task with the size and the limit, once",
			run: func(t *testing.T, c *cluster) {
				ctx := c.client()
				e := failed(ctx, t, run(ctx, t, tasks.Zeros, 9*mebibyte, fray.WithRetries(3), quick))
				wantEnd(t, e, fray.ReasonUndecodable, 1, 4)
				if !errors.Is(e, fray.ErrUndecodable) || !strings.Contains(e.Message, "9437184") || !strings.Contains(e.Message, "8388608") {
					t.Errorf("got %v", e)
				}
			},
		},
	})
}

func reversed(in []byte) []byte {
	out := make([]byte, len(in))
	for i, b := range in {
		out[len(in)-1-i] = b
	}
	return out
}

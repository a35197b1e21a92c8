package raft

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	hraft "github.com/hashicorp/raft"

	"github.com/frayrpc/fray/examples/abroad"
	"github.com/frayrpc/fray/sim"
)

var peers = []string{"node1", "node2", "node3"}

func get(url string) (string, error) {
	client := http.Client{Timeout: 3 * time.Second}
	res, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

// appendTo asks one node after the other until one has appended the item.
func appendTo(item string) error {
	client := http.Client{Timeout: 6 * time.Second}
	for try := range 60 {
		res, err := client.Post("http://"+peers[try%len(peers)]+"/append", "text/plain", strings.NewReader(item))
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
	return errors.New("no node has taken " + item)
}

// Nodes are killed, and cut off. What was acknowledged stays, and all nodes have the same list.
func TestRaft(t *testing.T) {
	abroad.Check(t, "hashicorp/raft", sim.Config{Link: sim.Link{Loss: 0.01}}, func(s *sim.Sim) error {
		s.Machines(peers...)
		for _, name := range peers {
			s.Host(name, func(_ context.Context, h *sim.Host) error {
				kept, ok := h.Disk().(stores)
				if !ok {
					kept = stores{hraft.NewInmemStore(), hraft.NewInmemSnapshotStore()}
					h.SetDisk(kept)
				}
				return node(peers, kept)
			})
		}
		var acknowledged []string
		s.Client("client", func(context.Context, *sim.Host) error {
			for i := range 100 {
				item := fmt.Sprint("item", i)
				if err := appendTo(item); err != nil {
					return err
				}
				abroad.Tell(func() { acknowledged = append(acknowledged, item) })
				time.Sleep(100 * time.Millisecond)
			}
			return nil
		})
		chance := s.Rand("faults")
		for range 14 {
			at := 2*time.Second + time.Duration(chance.Int64N(int64(30*time.Second)))
			until := at + time.Duration(chance.Int64N(int64(8*time.Second)))
			victim, other := peers[chance.IntN(len(peers))], peers[chance.IntN(len(peers))]
			if victim == other {
				s.At(at, func() { s.Crash(victim) })
				s.At(until, func() { s.Bounce(victim) })
				continue
			}
			s.At(at, func() { s.Partition(victim, other) })
			s.At(until, func() { s.Repair(victim, other) })
		}
		if err := s.Run(); err != nil {
			return err
		}
		s.RepairAll()
		if err := s.RunFor(time.Minute); err != nil {
			return err
		}
		lists := make([]string, len(peers))
		s.Client("auditor", func(context.Context, *sim.Host) (err error) {
			for i, peer := range peers {
				if lists[i], err = get("http://" + peer + "/list"); err != nil {
					return err
				}
			}
			return nil
		})
		if err := s.Run(); err != nil {
			return err
		}
		var errs []error
		for i, text := range lists {
			if text != lists[0] {
				errs = append(errs, fmt.Errorf("%s has another list than %s:\n%s\nand\n%s", peers[i], peers[0], flat(text), flat(lists[0])))
			}
		}
		items := strings.Split(lists[0], "\n")
		for _, item := range acknowledged {
			if !slices.Contains(items, item) {
				errs = append(errs, fmt.Errorf("%s was acknowledged and is lost", item))
			}
		}
		return errors.Join(errs...)
	})
}

func flat(text string) string {
	return string(bytes.ReplaceAll([]byte(text), []byte("\n"), []byte(" ")))
}

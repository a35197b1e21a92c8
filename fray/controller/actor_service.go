package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/corewire"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

func (s *service) ListActors(ctx context.Context, req *frayv1.ListActorsRequest) (*frayv1.ListActorsResponse, error) {
	event := &core.ListActors{
		Call: s.c.call(), Name: req.GetName(), Max: cmp.Or(int(req.GetPageSize()), defaultPage),
		Owner: access.Confined(ctx, frayv1connect.ControllerServiceListActorsProcedure), By: access.From(ctx).Owns(),
	}
	var err error
	if event.After, err = parsePageToken(req.GetPageToken()); err != nil {
		return nil, err
	}
	r, err := ask[core.ActorsReply](ctx, s.c, event.Call, "actors", event)
	if err != nil {
		return nil, err
	}
	resp := &frayv1.ListActorsResponse{Actors: make([]*frayv1.Actor, len(r.Actors))}
	for i := range r.Actors {
		resp.Actors[i] = corewire.ActorMessage(&r.Actors[i])
	}
	if r.More {
		resp.NextPageToken = pageToken(r.Actors[len(r.Actors)-1].Num)
	}
	return resp, nil
}

// checkpointRecord encodes a checkpoint for the store. An empty one is not the same as none.
func checkpointRecord(p *frayv1.Payload) ([]byte, error) {
	record, err := proto.Marshal(p)
	if err == nil && record == nil {
		record = []byte{}
	}
	return record, err
}

// checkpoint reads what the last incarnation of the actor whose life a task is has left; nil: nothing.
func (c *Controller) checkpoint(life core.TaskNum) (*frayv1.Payload, error) {
	record, err := c.cfg.Store.Get(store.Key{Kind: store.Checkpoint, Num: uint64(life)})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	p := &frayv1.Payload{}
	if err := proto.Unmarshal(record, p); err != nil {
		return nil, fmt.Errorf("%w: the checkpoint of task %d cannot be decoded: %w", store.ErrCorrupt, life, err)
	}
	return p, nil
}

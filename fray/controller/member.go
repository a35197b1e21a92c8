package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/internal/serve"
	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/sleep"
)

// Member is one of several controllers that share a database. It listens from its start on. While it
// leads a Controller answers, which is made anew for each time: nothing that it knew outlives its
// lead. While it stands by it answers nothing but where the leader is. Asked to step down it stands by,
// and does not lead again before the others had time to.
type Member struct {
	cfg     Config
	lead    lead.Config
	server  *serve.Server // nil: it does not listen
	options []connect.HandlerOption
	// What checks the requests that it answers itself.
	validated connect.HandlerOption

	leads   atomic.Pointer[leadership] // nil: it stands by
	seat    atomic.Pointer[lead.Seat]  // as it was last seen; nil: it was not
	elected prometheus.Counter
	tries   int // to lead
	ready   chan struct{}
	ran     atomic.Bool
}

// leadership is the controller of one time of leading, and what answers for it.
type leadership struct {
	controller *Controller
	handler    http.Handler
	epoch      uint64
	end        context.CancelCauseFunc // Has it end, and the seat be left.
	over       chan struct{}           // Closed once it has.
	err        error                   // Why whether the seat was left is unknown. Set before over is closed.
}

// NewMember returns a member that has not been started. The store of the configuration is that of the
// database, and must not be set. The id of the holder is to be no other process's; where its address
// is empty it is that where the member listens.
func NewMember(cfg Config, l lead.Config) (*Member, error) {
	if cfg.Store != nil {
		return nil, errors.New("controller: Store must not be set: a member has that of its database")
	}
	if err := l.Validate(); err != nil {
		return nil, err
	}
	checked := cfg
	checked.Store = store.NewMemory()
	if err := checked.Validate(); err != nil {
		return nil, err
	}
	m := &Member{cfg: cfg.withDefaults(), lead: l, ready: make(chan struct{})}
	m.lead.Logger = m.cfg.Logger
	seen := l.Seen
	m.lead.Seen = func(s lead.Seat) {
		m.seat.Store(&s)
		if seen != nil {
			seen(s)
		}
	}
	if err := m.register(); err != nil {
		return nil, err
	}
	var err error
	if m.validated, err = serve.Validated(); err != nil {
		return nil, err
	}
	if cfg.ListenAddress == "" && cfg.Listener == nil {
		return m, nil
	}
	if m.server, err = newServer(m.cfg, m.Handler, m.Leads); err != nil {
		return nil, err
	}
	return m, nil
}

// register registers the metrics that are the member's own.
func (m *Member) register() error {
	m.elected = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "fray_elected_total", Help: "Times that this controller began to lead.",
	})
	if m.lead.Metrics == nil {
		var err error
		if m.lead.Metrics, err = lead.NewMetrics(m.cfg.Registerer); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	if m.cfg.Registerer == nil {
		return nil
	}
	leads := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fray_leads", Help: "Whether this controller leads: 0 or 1.",
	}, func() float64 {
		if m.Leads() {
			return 1
		}
		return 0
	})
	for _, c := range []prometheus.Collector{m.elected, leads} {
		if err := m.cfg.Registerer.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

// Handler returns the path and handler of ControllerService alone, for those who serve it themselves.
// It is called once at most, before Run.
func (m *Member) Handler(options ...connect.HandlerOption) (string, http.Handler) {
	m.options = options
	refuse := connect.UnaryInterceptorFunc(func(connect.UnaryFunc) connect.UnaryFunc {
		return func(context.Context, connect.AnyRequest) (connect.AnyResponse, error) { return nil, m.standsBy() }
	})
	path, standby := frayv1connect.NewControllerServiceHandler(frayv1connect.UnimplementedControllerServiceHandler{},
		slices.Concat(outermost(nil), options, []connect.HandlerOption{connect.WithInterceptors(refuse)})...)
	_, stepsDown := frayv1connect.NewControllerServiceHandler(&stepDown{m: m},
		slices.Concat(outermost(m.cfg.Audit), options, []connect.HandlerOption{m.validated})...)
	return path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := m.leads.Load()
		switch {
		case l == nil:
			standby.ServeHTTP(w, r)
		case r.URL.Path == frayv1connect.ControllerServiceStepDownProcedure:
			stepsDown.ServeHTTP(w, r)
		case !l.controller.serves(): // It reads what it is to know. Callers ask again soon, as while nobody leads.
			standby.ServeHTTP(w, r)
		default:
			l.handler.ServeHTTP(w, r)
		}
	})
}

// standsBy is what is answered while another leads, or nobody.
func (m *Member) standsBy() error {
	seat := m.seat.Load()
	if seat == nil || seat.Vacant || seat.Holder.Address == "" || seat.Holder.Address == m.lead.Holder.Address {
		err := wire.Error(wire.ReasonNotLeader, 0, "this controller stands by, and none is known to lead: try again")
		err.Meta().Set(wire.LeaderHeader, "")
		return err
	}
	err := wire.Error(wire.ReasonNotLeader, 0, "this controller stands by: %s leads", seat.Holder.Address)
	err.Meta().Set(wire.LeaderHeader, seat.Holder.Address)
	return err
}

// Listen opens the listener, after which URL is known. Run does it too, unless it was done.
func (m *Member) Listen(ctx context.Context) error {
	if m.server == nil {
		return errors.New("controller: neither ListenAddress nor Listener is set")
	}
	return m.server.Listen(ctx)
}

// Ready returns a channel that is closed once Run stands by.
func (m *Member) Ready() <-chan struct{} { return m.ready }

// URL returns the base URL for calls from this machine, after Listen.
func (m *Member) URL() string { return m.server.URL() }

// Leads says whether this member leads, and answers calls.
func (m *Member) Leads() bool {
	l := m.leads.Load()
	return l != nil && l.controller.serves()
}

// Run stands by and leads, in turns, until ctx ends, and returns nil then; another may lead at once.
// It returns an error when it cannot listen, or when the database has lost or damaged what it had
// acknowledged, or is an unfinished copy. A member runs once, and does not close its database.
func (m *Member) Run(ctx context.Context) error {
	if m.ran.Swap(true) {
		return errors.New("controller: Run was called before")
	}
	if m.server == nil {
		return m.stand(ctx)
	}
	if err := m.server.Listen(ctx); err != nil {
		return err
	}
	if m.lead.Holder.Address == "" {
		m.lead.Holder.Address = m.server.URL()
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	standing, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		defer cancel() // Nobody could reach it any longer.
		served <- m.server.Run(serving)
	}()
	err := m.stand(standing)
	stop()
	return errors.Join(err, <-served)
}

// stand is Run without the server.
func (m *Member) stand(ctx context.Context) error {
	close(m.ready)
	for try := m.lead; ; {
		m.tries++
		try.Holder.ID = fmt.Sprintf("%s.%d", m.lead.Holder.ID, m.tries)
		m.cfg.Logger.Info("stands by", "id", try.Holder.ID)
		term, err := lead.Stand(ctx, try)
		if ctx.Err() != nil && err != nil {
			return nil //nolint:nilerr // It stood by.
		}
		if err == nil {
			try.SteppedDown, err = m.govern(ctx, term)
		}
		lost := errors.Is(err, lead.ErrLost)
		switch {
		case ctx.Err() != nil && (err == nil || lost):
			return nil
		case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrUnfinished), errors.Is(err, store.ErrFailed) && !lost, ctx.Err() != nil:
			return err
		case err != nil && !lost:
			m.cfg.Logger.Error("could not lead, and tries again", "error", err)
			_ = sleep.For(ctx, lead.DefaultBeat)
		}
	}
}

// govern leads for one term. It returns its epoch if it has ended because that was asked for, else 0.
func (m *Member) govern(ctx context.Context, term *lead.Term) (steppedDown uint64, err error) {
	cfg := m.cfg
	cfg.Store, cfg.ListenAddress, cfg.Listener, cfg.Access, cfg.MetricsAddress, cfg.HTTP3 = term, "", nil, nil, "", nil
	registered := &registrations{Registerer: cfg.Registerer}
	if cfg.Registerer != nil {
		cfg.Registerer = registered
	}
	defer registered.undo()
	c, err := New(cfg)
	if err != nil {
		return 0, errors.Join(err, term.Leave())
	}
	_, handler := c.Handler(m.options...)
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	l := &leadership{controller: c, handler: handler, epoch: term.Epoch(), end: end, over: make(chan struct{})}
	m.seat.Store(nil) // It will be another's when this one has led.
	m.leads.Store(l)
	m.elected.Inc()
	err = c.Run(ctx)
	m.leads.Store(nil)
	left := term.Leave()
	l.err = cmp.Or(err, left)
	close(l.over)
	if err == nil && left != nil && !errors.Is(left, lead.ErrLost) {
		m.cfg.Logger.Warn("could not leave the lead: others take it once they have missed this controller", "error", left)
	}
	if errors.Is(context.Cause(ctx), errSteppedDown) {
		steppedDown = l.epoch
	}
	return steppedDown, err
}

// registrations are the metrics of one term.
type registrations struct {
	prometheus.Registerer

	all []prometheus.Collector
}

// Register implements prometheus.Registerer.
func (r *registrations) Register(c prometheus.Collector) error {
	err := r.Registerer.Register(c)
	if err == nil {
		r.all = append(r.all, c)
	}
	return err
}

func (r *registrations) undo() {
	for _, c := range r.all {
		r.Unregister(c)
	}
}

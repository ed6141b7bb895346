package sequencer

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
	"gatehouse.internal/shared/sqldb"
)

// The periods of a sequencer.
const (
	headPeriod   = 250 * time.Millisecond
	headSpacing  = 25 * time.Millisecond  // between heads, and between a batch and the head after it
	headPatience = 100 * time.Millisecond // for which a head may be put off by batches
	rivalPeriod  = time.Second            // an older replica not heard for this long is taken to be gone
	roundTimeout = 2 * time.Second        // without what it numbers
	batchTimeout = 4 * time.Second        // for a whole batch of numbers; a slow database must come to its end
	storeTimeout = 2 * time.Second
	lateTimeout  = 10 * time.Millisecond // for what was sent that long ago
	retryPeriod  = time.Second           // between attempts to get a backlog into the stream
	prunePeriod  = 10 * time.Second
	maxFlights   = 1024
)

// Signer gives the key that signs batches, heads and proofs.
type Signer interface {
	EventSigner(ctx context.Context) (kid string, key ed25519.PrivateKey, err error)
}

// Config is what a sequencer works with.
type Config struct {
	DB          *sqldb.DB
	Bus         *bus.Bus
	Redis       redis.UniversalClient // nil: no second opinion is kept
	RedisPrefix string
	Signer      Signer
	Keys        revocation.EventKeys // to read back what this system has signed
	Now         func() time.Time
	Log         *slog.Logger
	Registry    prometheus.Registerer
}

// Sequencer is one replica's part in numbering and publishing revocations.
type Sequencer struct {
	Config
	Presence *Presence

	id      string
	log     revocationLog
	road    road
	metrics *metrics
	mirror  *mirror

	wake chan struct{}
	// waiting are told the numbers by a round that began after they asked.
	mu      sync.Mutex
	waiting waiters

	rival     atomic.Int64  // Unix nanoseconds when an older replica's head was last heard
	lastRound atomic.Int64  // Unix nanoseconds of the last whole round, of this or an older replica
	flights   chan flight   // batches on their way into the stream
	receipt   atomic.Uint64 // the number of the last one, as the broker counts; 0: none, or it was lost
	stream    streamSeen    // keepStream's own
	refill    refill
	doubt     chan struct{} // the database may have lost what others hold
	forced    atomic.Bool   // a round is wanted although an older replica is active
	headOwed  bool          // these are the round's own
	batched   bool          // this round has published something
	lastHead  time.Time
	lastPrune time.Time

	seldom revocation.Seldom // what of a flood is written to the log
}

// New returns a sequencer with an id of its own; older replicas have lower ids.
func New(cfg Config) (*Sequencer, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make a sequencer id: %w", err)
	}
	return assemble(cfg, id.String(), newSQLLog(cfg.DB), cfg.Bus), nil
}

// assemble makes a sequencer of its parts.
func assemble(cfg Config, id string, log revocationLog, r road) *Sequencer {
	s := &Sequencer{
		Config: cfg, id: id, log: log, road: r, wake: make(chan struct{}, 1),
		flights: make(chan flight, maxFlights), doubt: make(chan struct{}, 1), Presence: NewPresence(cfg.Now, cfg.Log),
	}
	s.Presence.arrived = s.poke
	s.metrics = newMetrics(cfg.Registry, s)
	if cfg.Redis != nil {
		s.mirror = newMirror(s)
	}
	return s
}

// Run works until ctx ends. It returns an error only if it cannot subscribe.
func (s *Sequencer) Run(ctx context.Context) error {
	stop, err := s.subscribe()
	if err != nil {
		return err
	}
	defer stop()
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { s.keepStream(ctx) })
	group.Go(func() { s.land(ctx) })
	if s.mirror != nil {
		group.Go(func() { s.mirror.run(ctx) })
	}
	ticker := time.NewTicker(headPeriod)
	defer ticker.Stop()
	s.poke() // the first round need not wait
	for {
		var owed <-chan time.Time
		if s.headOwed {
			owed = time.After(headSpacing)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-ticker.C:
		case <-owed:
		}
		if !s.active() && !s.forced.Swap(false) {
			continue
		}
		if err := s.round(ctx); err != nil && ctx.Err() == nil {
			s.metrics.failures.Inc()
			s.Log.Error("revocation round failed", "error", err)
		}
	}
}

// Ready is nil if this replica, or an older one that is active, has finished a
// round lately.
func (s *Sequencer) Ready(context.Context) error {
	if age := s.Now().Sub(time.Unix(0, s.lastRound.Load())); age > 5*time.Second {
		return fmt.Errorf("no revocation round for %s", age.Round(time.Second))
	}
	return nil
}

// active is true unless an older replica was heard lately.
func (s *Sequencer) active() bool {
	return s.Now().UnixNano()-s.rival.Load() > int64(rivalPeriod)
}

// heard takes in a head of any replica, this one included.
func (s *Sequencer) heard(message []byte) {
	payload, err := revocation.Open(revocation.PurposeHead, s.Keys, message)
	if err != nil {
		if leftOut, write := s.seldom.Next("head "+revocation.Reason(err), s.Now()); write {
			s.Log.Warn("head of another replica refused", "reason", revocation.Reason(err), "left_out", leftOut)
		}
		return
	}
	var h contract.Head
	if json.Unmarshal(payload, &h) == nil && h.Sequencer < s.id {
		s.rival.Store(s.Now().UnixNano())
		s.lastRound.Store(s.Now().UnixNano())
	}
}

// round numbers, publishes and proves, in the order of the package comment.
func (s *Sequencer) round(ctx context.Context) error {
	asked := s.takeWaiters()
	defer asked.release()
	s.batched = false
	began := s.Now()
	nodes := s.Presence.snapshot()
	current, err := s.drain(ctx, asked, nodes.nodes)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	if err := asked.lookUp(ctx, s.log, current.Epoch); err != nil {
		return err
	}
	if err := s.head(ctx, current, nodes); err != nil {
		return err
	}
	s.lastRound.Store(s.Now().UnixNano())
	s.metrics.observe(current, s.Now().Sub(began))
	if s.mirror != nil {
		s.mirror.tell(finished{began, current})
	}
	return s.backlog(ctx, current)
}

// drain numbers and publishes until every row is numbered that was committed
// before it began. Without anybody waiting, one cheap look may show that there
// is nothing to do. Each full batch is followed by word of how far the numbers
// go, so that the nodes can say how far behind they are.
func (s *Sequencer) drain(ctx context.Context, asked waiters, nodes int) (state, error) {
	if len(asked) == 0 {
		ctx, cancel := context.WithTimeout(ctx, roundTimeout)
		defer cancel()
		if current, err := s.log.look(ctx); err != nil || !current.Open && !current.Moved {
			return current, err
		}
	}
	for {
		current, all, err := s.drainBatch(ctx, asked)
		if err != nil || all {
			return current, err
		}
		s.lastRound.Store(s.Now().UnixNano())
		if err := s.announce(ctx, current, nodes); err != nil {
			return state{}, err
		}
	}
}

// drainBatch numbers and publishes one batch. It reports whether that was all.
func (s *Sequencer) drainBatch(ctx context.Context, asked waiters) (current state, all bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	current, rows, err := s.log.number(ctx)
	if err != nil {
		return state{}, false, err
	}
	if current.Moved {
		s.metrics.moves.Inc()
		s.Log.Info("the database was started anew, and may have lost revocations that others hold; a new epoch is open", "epoch", current.Epoch)
		s.compare()
	}
	if len(rows) > 0 {
		first := current.Last - current.Given + 1
		if err := s.publish(ctx, batchOf(current, first, rows), first); err != nil {
			return state{}, false, err
		}
		s.batched = true
		asked.numbered(current.Epoch, rows)
	}
	return current, current.Given < contract.MaxBatchEntries, nil
}

package sign

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
)

// A Signer makes signatures in one format. Several goroutines may use it at once.
type Signer struct {
	policy      *Policy
	credentials credentials
}

// Policy returns the policy that accepts the signer's signatures.
func (s *Signer) Policy() *Policy { return s.policy }

// credentials provide the key for a signature and the proof of its owner.
type credentials interface {
	// open returns a key and the options that prove its owner and the time of signing: all
	// options of sigstore-go except the context.
	open(ctx context.Context) (sign.Keypair, sign.BundleOptions, error)
}

// open returns the key alone: without a certificate, a timestamp or a log.
func (k *keyPair) open(context.Context) (sign.Keypair, sign.BundleOptions, error) {
	return k, sign.BundleOptions{}, nil
}

// signAttempts limits how often signing is tried while a service fails.
const signAttempts = 3

// sign makes a bundle of the content. tweak changes the options first.
//
// If a service fails, sign starts again with a new signature: a log that accepted the entry
// would refuse the same entry the second time.
func (s *Signer) sign(ctx context.Context, content sign.Content, tweak func(*sign.BundleOptions)) (*protobundle.Bundle, error) {
	for attempt := 1; ; attempt++ {
		signed, err := s.signOnce(ctx, content, tweak)
		if err == nil || attempt == signAttempts || !isTemporary(err) {
			return signed, err
		}
		if err := pause(ctx, time.Duration(attempt)*time.Second); err != nil {
			return nil, err
		}
	}
}

func (s *Signer) signOnce(ctx context.Context, content sign.Content, tweak func(*sign.BundleOptions)) (*protobundle.Bundle, error) {
	key, options, err := s.credentials.open(ctx)
	if err != nil {
		return nil, err
	}
	options.Context = ctx
	tweak(&options)
	signed, err := sign.Bundle(content, key, options)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return signed, nil
}

// rekorStatus matches the errors of the log's client with a temporary HTTP status.
var rekorStatus = lazyregexp.New(`unexpected response: (?:408|425|429|5\d\d) `)

// isTemporary reports whether an error comes from a service or the network and may be
// temporary.
func isTemporary(err error) bool {
	if fault.Is(err, fault.Credentials) || errors.Is(err, context.Canceled) {
		return false
	}
	var network *url.Error
	return errors.As(err, &network) || rekorStatus().MatchString(err.Error())
}

// pause waits for a random time between half of most and most.
func pause(ctx context.Context, most time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(most/2 + rand.N(most/2)):
		return nil
	}
}

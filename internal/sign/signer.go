package sign

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/libresh/libre/internal/fault"
)

// A Signer makes signatures in one format. It may be used by several
// goroutines at once.
type Signer struct {
	policy      *Policy
	credentials credentials
}

// Policy accepts what the signer makes.
func (s *Signer) Policy() *Policy { return s.policy }

// credentials are what signatures are made with.
type credentials interface {
	// open returns a key and what proves whose it is and when it signed: all
	// of sigstore-go's options but the context.
	open(ctx context.Context) (sign.Keypair, sign.BundleOptions, error)
}

// A key stands for itself: no certificate, no time, no log.
func (k *keyPair) open(context.Context) (sign.Keypair, sign.BundleOptions, error) {
	return k, sign.BundleOptions{}, nil
}

// signAttempts is how often a signature is tried while a service is out of
// order.
const signAttempts = 3

// sign makes a bundle of the content; tweak changes the options first.
//
// Where a service fails, everything is signed anew: a log that did take an
// entry refuses the same one the second time.
func (s *Signer) sign(ctx context.Context, content sign.Content, tweak func(*sign.BundleOptions)) (*protobundle.Bundle, error) {
	for attempt := 1; ; attempt++ {
		signed, err := s.signOnce(ctx, content, tweak)
		if err == nil || attempt == signAttempts || !outOfOrder(err) {
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

// rekorStatus is how the log's client says which status it got.
var rekorStatus = regexp.MustCompile(`unexpected response: (?:408|425|429|5\d\d) `)

// outOfOrder says whether an error is a service's or the network's, and may be
// gone a little later.
func outOfOrder(err error) bool {
	if fault.Is(err, fault.Credentials) || errors.Is(err, context.Canceled) {
		return false
	}
	var network *url.Error
	return errors.As(err, &network) || rekorStatus.MatchString(err.Error())
}

// pause waits between half and all of the time.
func pause(ctx context.Context, most time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(most/2 + rand.N(most/2)):
		return nil
	}
}

package sign

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Fingerprint is of what the policy accepts: 64 hexadecimal digits. What one policy accepted may
// be kept for another one with the same fingerprint. Sigstore's public root, which is renewed,
// counts as one.
func (p *Policy) Fingerprint() string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q\n", p.format, p.copies)
	for _, way := range p.ways {
		fmt.Fprintf(sum, "key %q %t\n", way.hint, way.ended(time.Now()))
	}
	fmt.Fprintf(sum, "identity %q\n", p.identity)
	if p.root != nil {
		fmt.Fprintf(sum, "root %x\n", p.root.content)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

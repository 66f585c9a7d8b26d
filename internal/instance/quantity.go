package instance

import (
	"fmt"
	"math/big"

	"github.com/libresh/libre/internal/lazyregexp"
)

var quantity = lazyregexp.New(`^([0-9]{1,12}(?:\.[0-9]{1,6})?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$`)

// suffixes of quantities, times a thousand:
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
var suffixes = map[string]int64{
	"m": 1, "": 1e3, "k": 1e6, "M": 1e9, "G": 1e12, "T": 1e15,
	"Ki": 1e3 << 10, "Mi": 1e3 << 20, "Gi": 1e3 << 30, "Ti": 1e3 << 40,
}

// Bytes is a quantity, such as 10Mi, as a whole number, rounded up.
func Bytes(text string) (int64, error) {
	number, err := Number(text)
	if err != nil {
		return 0, err
	}
	whole := new(big.Int).Add(number.Num(), new(big.Int).Sub(number.Denom(), big.NewInt(1)))
	whole.Quo(whole, number.Denom())
	if !whole.IsInt64() || whole.Sign() == 0 {
		return 0, fmt.Errorf("%q is not a size: expected at least one byte, and fewer than 8 EiB", text)
	}
	return whole.Int64(), nil
}

// Number is a quantity, such as 250m or 1.5Gi.
func Number(text string) (*big.Rat, error) {
	parts := quantity().FindStringSubmatch(text)
	if parts == nil {
		return nil, fmt.Errorf("%q is not a quantity, expected one such as 10Mi", text)
	}
	number, _ := new(big.Rat).SetString(parts[1])
	return number.Mul(number, big.NewRat(suffixes[parts[2]], 1000)), nil
}

package containerfile

import "testing"

// Unportable expansions in arguments before the first FROM are replaced with their values.
func TestUnportableExpansionsOfGlobalArguments(t *testing.T) {
	const file = `ARG PLATFORM=linux/arm/v7 \
  VERSION=v1.2.3-rc1
# a comment: ${VERSION#v}
ARG DASHES=${PLATFORM/\//-}
ARG ALL="${PLATFORM//\//-}"
ARG NUMBER=${VERSION#v} \
    MAJOR=${VERSION%%.*}
ARG GIVEN=${VERSION%-*}
ARG PLAIN=${VERSION:-none}
ARG WORDS="x a 'b' \$HOME"
ARG REST="${WORDS#x }"
ARG SPACED="v b c"
ARG SHORT="${SPACED#v }"
ARG UNSET="${NOTHING-some thing}"
FROM base-${MAJOR} AS x
ARG DASHES
ARG ALL
ARG NUMBER
ARG GIVEN
ARG PLAIN
ARG REST
ARG SHORT
ARG UNSET
RUN echo "$DASHES $ALL $NUMBER $GIVEN $PLAIN ${PLAIN#v} $REST $SHORT $UNSET" > /f
`
	eachEngine(t, func(t *testing.T, e Engine) {
		dist := catalogueLayout(t, "base", busyboxIndex(t))
		req := request(t, write(t, map[string]string{"Dockerfile": file}), map[string]Origin{"base-v1": {Layout: dist, Ref: "base"}})
		req.Args = map[string]string{"GIVEN": "mine"}
		res, err := NewBuilder(e, newStorage(t, e)).Build(t.Context(), req)
		if err != nil {
			t.Fatal(describe(err))
		}
		img, _ := built(t, res)
		if got := filesOf(t, img)["/f"].content; got != "linux-arm/v7 linux-arm-v7 1.2.3-rc1 mine v1.2.3-rc1 1.2.3-rc1 a 'b' $HOME b c some thing\n" {
			t.Errorf("got %q", got)
		}
	})
}

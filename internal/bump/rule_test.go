package bump

import (
	"encoding/json"
	"testing"
)

func TestParseRule(t *testing.T) {
	for _, update := range []string{"", "{}", "null",
		`{"tags": "v(.*)", "prereleases": true, "range": "^5", "sequence": "minor", "delay": 7, "ignore": ["5.*", "@s/p@1"], "transform": {"+": "-"}}`,
		`{"hold": "no time", "follow": "keycloak", "prereleases": true}`,
	} {
		if _, err := ParseRule(json.RawMessage(update)); err != nil {
			t.Errorf("%s: %v", update, err)
		}
	}
	tests := []struct{ update, want string }{
		{`{"tags": "v(?!x)([0-9]+)"}`, "update.tags: error parsing regexp: invalid or unsupported Perl syntax: `(?!`"},
		{`{"tags": "a)|(b"}`, "update.tags: error parsing regexp: unexpected ): `a)|(b`"},
		{`{"tags": "v[0-9]+"}`, `update.tags: "v[0-9]+" has no group for the version, expected one such as "^v([0-9.]+)$"`},
		{`{"range": "newest"}`, `update.range: "newest", expected major, minor, patch or a constraint such as ">=5.0, <6.0"`},
		{`{"sequence": "patch"}`, `update.sequence: "patch", expected minor or major`},
		{`{"delay": -1}`, `update.delay: -1, expected 0 to 3650 days`},
		{`{"delay": 1000000000000}`, `update.delay: 1000000000000, expected 0 to 3650 days`},
		{`{"ignore": ["5.[0-9]"]}`, `update.ignore: "5.[0-9]", expected a version, a tag or a glob such as "5.3.*"`},
		{`{"ignore": [""]}`, `update.ignore: "", expected a version, a tag or a glob such as "5.3.*"`},
		{`{"transform": {"": "x"}}`, `update.transform: an empty text to replace`},
		{`{"follow": "keycloak", "range": "minor"}`, `update.follow: the version is that of keycloak, remove range, sequence and delay`},
		{`{"held": "no time"}`, `update: json: unknown field "held"`},
	}
	for _, test := range tests {
		if rule, err := ParseRule(json.RawMessage(test.update)); err == nil || err.Error() != test.want || rule != nil {
			t.Errorf("%s\n%v, expected\n%s", test.update, err, test.want)
		}
	}
}

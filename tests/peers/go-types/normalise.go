package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"reflect"

	"github.com/tektoncd/pipeline/pkg/apis/config"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
)

// The types as the Rust side names them.
var named = map[string]reflect.Type{
	"TaskRun":           reflect.TypeFor[v1.TaskRun](),
	"TaskRunSpec":       reflect.TypeFor[v1.TaskRunSpec](),
	"TaskRunStatus":     reflect.TypeFor[v1.TaskRunStatus](),
	"PipelineRun":       reflect.TypeFor[v1.PipelineRun](),
	"PipelineRunSpec":   reflect.TypeFor[v1.PipelineRunSpec](),
	"PipelineRunStatus": reflect.TypeFor[v1.PipelineRunStatus](),
	"TaskRef":           reflect.TypeFor[v1.TaskRef](),
	"FeatureFlags":      reflect.TypeFor[config.FeatureFlags](),
	"ParamValue":        reflect.TypeFor[v1.ParamValue](),
}

// The longest line that is read.
const lineBytes = 64 << 20

// normalise answers each line of in.
func normalise(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 1<<20), lineBytes)
	answers := json.NewEncoder(out)
	for lines.Scan() {
		var ask struct {
			Type  string          `json:"type"`
			Value json.RawMessage `json:"value"`
		}
		if err := json.Unmarshal(lines.Bytes(), &ask); err != nil {
			return err
		}
		answer := map[string]any{}
		if written, err := rewritten(ask.Type, ask.Value); err != nil {
			answer["error"] = err.Error()
		} else {
			answer["ok"] = json.RawMessage(written)
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

func rewritten(name string, value []byte) ([]byte, error) {
	t, ok := named[name]
	if !ok {
		return nil, fmt.Errorf("the type %q is not known", name)
	}
	object := reflect.New(t)
	if err := json.Unmarshal(value, object.Interface()); err != nil {
		return nil, err
	}
	return json.Marshal(object.Elem().Interface())
}

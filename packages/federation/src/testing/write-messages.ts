/** For tests: the messages of remote write, for a library that knows nothing of our reader. */
import protobuf from 'protobufjs';

const { root } = protobuf.parse(`
  syntax = "proto3";
  message Label { string name = 1; string value = 2; }
  message Sample { double value = 1; int64 timestamp = 2; int64 start_timestamp = 3; }
  message Exemplar { repeated Label labels = 1; double value = 2; int64 timestamp = 3; }
  message Histogram { sint32 schema = 4; }
  message Metadata1 { int32 type = 1; string metric_family_name = 2; string help = 4; string unit = 5; }
  message Series1 {
    repeated Label labels = 1; repeated Sample samples = 2;
    repeated Exemplar exemplars = 3; repeated Histogram histograms = 4;
  }
  message WriteRequest { repeated Series1 timeseries = 1; repeated Metadata1 metadata = 3; }
  message Metadata2 { int32 type = 1; uint32 help_ref = 3; uint32 unit_ref = 4; }
  message Series2 {
    repeated uint32 labels_refs = 1; repeated Sample samples = 2; repeated Histogram histograms = 3;
    repeated Exemplar exemplars = 4; Metadata2 metadata = 5; int64 created_timestamp = 6;
  }
  message Request { repeated string symbols = 4; repeated Series2 timeseries = 5; }
`);

export const WriteRequest1 = root.lookupType('WriteRequest');
export const WriteRequest2 = root.lookupType('Request');

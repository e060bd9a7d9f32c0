package flowquake;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringEncoder;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.core.fs.Path;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.filesystem.rollingpolicies.OnCheckpointRollingPolicy;
import org.apache.flink.util.Collector;

/** The jobs of the engine as Flink programs. Input and output are the same, so one reference judges both. */
public final class Twin {
    private Twin() {}

    public static void main(String[] arguments) throws Exception {
        Map<String, String> given = new TreeMap<>();
        for (String argument : arguments) {
            int at = argument.indexOf('=');
            given.put(argument.substring(0, at), argument.substring(at + 1));
        }
        StreamExecutionEnvironment job = StreamExecutionEnvironment.getExecutionEnvironment();
        int parallelism = Integer.parseInt(given.get("parallelism"));
        job.setParallelism(parallelism);
        job.setMaxParallelism(Integer.parseInt(given.get("max-parallelism")));
        TimedSource source =
                new TimedSource(
                        given.get("input"), Integer.parseInt(given.get("splits")), Long.parseLong(given.get("start-millis")));
        DataStream<String> records = job.fromSource(source, WatermarkStrategy.noWatermarks(), "source").uid("source");
        DataStream<String> lines;
        switch (given.get("job")) {
            case "keyed-count":
                long emitEvery = Long.parseLong(given.getOrDefault("emit_every", "1"));
                int valueBytes = Integer.parseInt(given.getOrDefault("value_bytes", "0"));
                boolean update = given.getOrDefault("update_values", "0").equals("1");
                lines =
                        records.keyBy(record -> Long.parseLong(record.substring(0, record.indexOf(' '))), Types.LONG)
                                .process(new CountPerKey(emitEvery, valueBytes, update))
                                .returns(Types.STRING)
                                .name("count")
                                .uid("count");
                break;
            case "string-length-count":
                lines =
                        records.keyBy(record -> record.codePointCount(0, record.length()), Types.INT)
                                .process(new CountPerLength())
                                .returns(Types.STRING)
                                .name("count")
                                .uid("count");
                break;
            default:
                throw new IllegalArgumentException("there is no twin of the job " + given.get("job"));
        }
        FileSink<String> sink =
                FileSink.<String>forRowFormat(new Path(given.get("output")), new SimpleStringEncoder<>("UTF-8"))
                        .withBucketAssigner(new org.apache.flink.streaming.api.functions.sink.filesystem.bucketassigners.BasePathBucketAssigner<>())
                        .withRollingPolicy(OnCheckpointRollingPolicy.build())
                        .build();
        lines.sinkTo(sink).name("sink").uid("sink");
        job.execute(given.get("name"));
    }

    private static final class CountPerKey extends KeyedProcessFunction<Long, String, String> {
        private final long emitEvery;
        private final int valueBytes;
        private final boolean update;
        private transient ValueState<Long> count;
        private transient ValueState<byte[]> value;

        CountPerKey(long emitEvery, int valueBytes, boolean update) {
            this.emitEvery = emitEvery;
            this.valueBytes = valueBytes;
            this.update = update;
        }

        @Override
        public void open(OpenContext context) {
            count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.LONG));
            value = getRuntimeContext().getState(new ValueStateDescriptor<>("value", PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
        }

        @Override
        public void processElement(String record, Context context, Collector<String> out) throws Exception {
            long before = count.value() == null ? 0 : count.value();
            count.update(before + 1);
            if (valueBytes > 0 && (before == 0 || update)) {
                value.update(filler(context.getCurrentKey(), valueBytes));
            }
            if ((before + 1) % emitEvery == 0) {
                out.collect(context.getCurrentKey() + " " + (before + 1));
            }
        }

        /** Characters without repetition, so that a disk with compression cannot store them in less space. */
        private static byte[] filler(long key, int bytes) {
            byte[] value = new byte[bytes];
            java.util.SplittableRandom random = new java.util.SplittableRandom(key);
            for (int at = 0; at < bytes; at++) {
                value[at] = (byte) ('0' + random.nextInt(64));
            }
            return value;
        }
    }

    private static final class CountPerLength extends KeyedProcessFunction<Integer, String, String> {
        private transient ValueState<Integer> count;

        @Override
        public void open(OpenContext context) {
            count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.INT));
        }

        @Override
        public void processElement(String value, Context context, Collector<String> out) throws Exception {
            int before = count.value() == null ? 0 : count.value();
            count.update(before + 1);
            out.collect(value + " - " + before);
        }
    }
}

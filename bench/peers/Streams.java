import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BiFunction;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The saga on Kafka Streams: four processors, six stores, one thread. Route, rules, topics, keys and rows are those of
 * rules.py. Stores are cached, as its guide to memory says; what else is set is in candidates.py.
 */
public class Streams {
    static final ObjectMapper JSON = new ObjectMapper();
    static final BigDecimal LIMIT = new BigDecimal("1000");
    static final Set<String> COUNTRIES = Set.of("GB");
    static final Map<String, String> TOPICS = Map.of(
            "OrderCompleted", "checkout_events",
            "OrderCancelled", "checkout_events",
            "PaymentRequested", "payment_events",
            "RefundRequested", "payment_events",
            "ReservationRequested", "inventory_events",
            "ReleaseRequested", "inventory_events",
            "ShipmentRequested", "shipping_events");

    /** One service: its tables, what asks it to act and to undo, and what it sends forwards and backwards. */
    record Step(String name, String topic, String journal, String balances, String act, String undo, String on,
            String back, BiFunction<JsonNode, Service, Object> judge) {
    }

    static final Step PAYMENT = new Step("payment", "payment_events", "payments", "accounts", "PaymentRequested",
            "RefundRequested", "ReservationRequested", "OrderCancelled", Streams::pay);
    static final Step INVENTORY = new Step("inventory", "inventory_events", "reservations", "stock",
            "ReservationRequested", "ReleaseRequested", "ShipmentRequested", "RefundRequested", Streams::reserve);
    static final Step SHIPPING = new Step("shipping", "shipping_events", "shipments", null, "ShipmentRequested", null,
            "OrderCompleted", "ReleaseRequested", Streams::ship);

    /** Why the payment is refused (a text), or what it takes from the account (moves). */
    static Object pay(JsonNode order, Service rows) {
        BigDecimal amount = new BigDecimal(order.get("amount").textValue());
        if (amount.compareTo(LIMIT) >= 0) {
            return "over_limit";
        }
        ObjectNode moves = JSON.createObjectNode();
        JsonNode account = order.has("customer_id") ? rows.balances.get(order.get("customer_id").textValue()) : null;
        if (account == null) {
            return moves;
        }
        if (new BigDecimal(account.get("left").textValue()).compareTo(amount) < 0) {
            return "insufficient_funds";
        }
        return moves.put(order.get("customer_id").textValue(), amount.negate().toPlainString());
    }

    /** Why the lines cannot be reserved, or what they take from the stock. */
    static Object reserve(JsonNode order, Service rows) {
        ObjectNode moves = JSON.createObjectNode();
        String refused = null;
        for (JsonNode line : order.get("lines")) {
            String key = order.get("warehouse").textValue() + ":" + line.get("sku").textValue();
            JsonNode stock = rows.balances.get(key);
            if (stock == null) {
                return "unknown_sku";
            }
            if (stock.get("left").intValue() < line.get("quantity").intValue()) {
                refused = "out_of_stock";
            }
            moves.put(key, -line.get("quantity").intValue());
        }
        return refused == null ? moves : refused;
    }

    /** Why the order cannot be shipped; it moves nothing. */
    static Object ship(JsonNode order, Service rows) {
        boolean served = !order.has("country") || COUNTRIES.contains(order.get("country").textValue());
        return served ? JSON.createObjectNode() : "undeliverable";
    }

    /** What is common to all services: the journal, and sending to the inbox that a record is for. */
    abstract static class Inbox implements Processor<String, JsonNode, String, JsonNode> {
        ProcessorContext<String, JsonNode> context;

        @Override
        public void init(ProcessorContext<String, JsonNode> context) {
            this.context = context;
        }

        KeyValueStore<String, JsonNode> store(String name) {
            return context.getStateStore(name);
        }

        void send(JsonNode sent) {
            context.forward(new Record<>(keyOf(sent), sent, context.currentSystemTimeMs()));
        }
    }

    /** Starts orders and records how they end. */
    static class Checkout extends Inbox {
        KeyValueStore<String, JsonNode> orders;

        @Override
        public void init(ProcessorContext<String, JsonNode> context) {
            super.init(context);
            orders = store("orders");
        }

        @Override
        public void process(Record<String, JsonNode> received) {
            JsonNode record = received.value();
            String id = record.get("order_id").textValue();
            ObjectNode row = (ObjectNode) orders.get(id);
            if (record.get("type").textValue().equals("OrderPlaced")) {
                if (row == null) {
                    row = JSON.createObjectNode().put("status", "OPEN").set("order", normal(record));
                    orders.put(id, row);
                }
                send(JSON.createObjectNode().put("type", PAYMENT.act()).set("order", row.get("order")));
            } else if (row != null && row.get("status").textValue().equals("OPEN")) {
                boolean completed = record.get("type").textValue().equals("OrderCompleted");
                row.put("status", completed ? "COMPLETED" : "CANCELLED");
                if (!completed) {
                    row.set("reason", record.get("reason"));
                    row.set("step", record.get("step"));
                }
                orders.put(id, row);
            }
        }
    }

    /** The service of a step. */
    static class Service extends Inbox {
        final Step step;
        KeyValueStore<String, JsonNode> journal;
        KeyValueStore<String, JsonNode> balances;

        Service(Step step) {
            this.step = step;
        }

        @Override
        public void init(ProcessorContext<String, JsonNode> context) {
            super.init(context);
            journal = store(step.journal());
            balances = step.balances() == null ? null : store(step.balances());
        }

        @Override
        public void process(Record<String, JsonNode> received) {
            JsonNode record = received.value();
            if (!record.has("order")) {
                supply(record);
                return;
            }
            JsonNode order = record.get("order");
            ObjectNode row = (ObjectNode) journal.get(order.get("order_id").textValue());
            if (record.get("type").textValue().equals(step.undo())) {
                if (row == null || row.get("state").textValue().equals("DONE")) {
                    row = undo(record, row == null ? JSON.createObjectNode() : row);
                }
            } else if (row == null) {
                row = act(order);
            }
            send(answer(order, row));
        }

        /** Decides, moves what is to be moved, and remembers it. */
        ObjectNode act(JsonNode order) {
            ObjectNode row = JSON.createObjectNode();
            Object verdict = step.judge().apply(order, this);
            if (verdict instanceof ObjectNode moves) {
                row.put("state", "DONE").set("moves", moves);
                move(moves, 1);
            } else {
                row.put("state", "REFUSED").put("reason", (String) verdict).put("step", step.name());
            }
            journal.put(order.get("order_id").textValue(), row);
            return row;
        }

        /** Moves back what the row says was moved. */
        ObjectNode undo(JsonNode record, ObjectNode row) {
            if (row.has("moves")) {
                move((ObjectNode) row.get("moves"), -1);
            }
            row.put("state", "UNDONE").set("reason", record.get("reason"));
            row.set("step", record.get("step"));
            journal.put(record.get("order").get("order_id").textValue(), row);
            return row;
        }

        /** What the row says, as a request to the next step or to the one before, or as the ending. */
        ObjectNode answer(JsonNode order, JsonNode row) {
            boolean on = row.get("state").textValue().equals("DONE");
            ObjectNode sent = JSON.createObjectNode().put("type", on ? step.on() : step.back());
            if (!on) {
                sent.set("reason", row.get("reason"));
                sent.set("step", row.get("step"));
            }
            boolean ends = TOPICS.get(on ? step.on() : step.back()).equals("checkout_events");
            return ends ? sent.set("order_id", order.get("order_id")) : sent.set("order", order);
        }

        void move(ObjectNode moves, int sign) {
            for (Map.Entry<String, JsonNode> each : moves.properties()) {
                ObjectNode row = (ObjectNode) balances.get(each.getKey());
                add(row, "left", each.getValue(), sign);
                balances.put(each.getKey(), row);
            }
        }

        /** A deposit or a delivery; each is sent once here. */
        void supply(JsonNode record) {
            if (record.has("lines")) {
                for (JsonNode line : record.get("lines")) {
                    bring(record.get("warehouse").textValue() + ":" + line.get("sku").textValue(), line.get("quantity"));
                }
            } else {
                bring(record.get("customer_id").textValue(), record.get("amount"));
            }
        }

        void bring(String key, JsonNode amount) {
            ObjectNode row = (ObjectNode) balances.get(key);
            if (row == null) {
                JsonNode zero = amount.isInt() ? JsonNodeFactory.instance.numberNode(0)
                        : JsonNodeFactory.instance.textNode("0");
                row = JSON.createObjectNode().<ObjectNode>set("came", zero).set("left", zero);
            }
            add(row, "came", amount, 1);
            add(row, "left", amount, 1);
            balances.put(key, row);
        }
    }

    /** A sum of units, or of money as text. */
    static void add(ObjectNode row, String name, JsonNode amount, int sign) {
        if (amount.isInt()) {
            row.put(name, row.get(name).intValue() + sign * amount.intValue());
        } else {
            BigDecimal more = new BigDecimal(amount.textValue()).multiply(BigDecimal.valueOf(sign));
            row.put(name, new BigDecimal(row.get(name).textValue()).add(more).toPlainString());
        }
    }

    /** The order as the services hand it on: the amount is the sum of the lines, which are merged and sorted. */
    static ObjectNode normal(JsonNode placed) {
        TreeMap<String, Integer> quantities = new TreeMap<>();
        BigDecimal amount = BigDecimal.ZERO;
        for (JsonNode line : placed.get("lines")) {
            int quantity = line.get("quantity").intValue();
            quantities.merge(line.get("sku").textValue(), quantity, Integer::sum);
            amount = amount.add(new BigDecimal(line.get("unit_price").textValue()).multiply(new BigDecimal(quantity)));
        }
        ObjectNode order = JSON.createObjectNode();
        for (String name : new String[] {"order_id", "customer_id", "country"}) {
            if (placed.has(name)) {
                order.set(name, placed.get(name));
            }
        }
        order.put("amount", amount.toPlainString()).set("warehouse", placed.get("warehouse"));
        quantities.forEach((sku, quantity) -> order.withArray("lines").addObject().put("sku", sku)
                .put("quantity", quantity));
        return order;
    }

    /** Payments are kept with their customer, stock with its warehouse, everything else with the order. */
    static String keyOf(JsonNode record) {
        JsonNode order = record.has("order") ? record.get("order") : record;
        String name = switch (TOPICS.get(record.get("type").textValue())) {
            case "payment_events" -> order.has("customer_id") ? "customer_id" : "order_id";
            case "inventory_events" -> "warehouse";
            default -> "order_id";
        };
        return order.get(name).textValue();
    }

    static final Serde<JsonNode> VALUES = Serdes.serdeFrom((topic, node) -> {
        try {
            return node == null ? null : JSON.writeValueAsBytes(node);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }, (topic, bytes) -> {
        try {
            return bytes == null ? null : JSON.readTree(bytes);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    });

    static void add(Topology topology, String name, String store) {
        topology.addStateStore(Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(store), Serdes.String(), VALUES)
                .withCachingEnabled(), name);
    }

    static Topology topology() {
        Topology topology = new Topology();
        topology.addSource("checkout-in", "checkout_events").addProcessor("checkout", Checkout::new, "checkout-in");
        add(topology, "checkout", "orders");
        for (Step step : new Step[] {PAYMENT, INVENTORY, SHIPPING}) {
            topology.addSource(step.name() + "-in", step.topic());
            topology.addProcessor(step.name(), () -> new Service(step), step.name() + "-in");
            add(topology, step.name(), step.journal());
            if (step.balances() != null) {
                add(topology, step.name(), step.balances());
            }
        }
        for (String name : new String[] {"checkout", "payment", "inventory", "shipping"}) {
            topology.addSink(name + "-out", (key, sent, context) -> TOPICS.get(((JsonNode) sent).get("type").textValue()), name);
        }
        return topology;
    }

    /** Each argument is a property of Kafka Streams: name=value. */
    public static void main(String[] arguments) {
        Properties properties = new Properties();
        for (String argument : arguments) {
            String[] parts = argument.split("=", 2);
            properties.put(parts[0], parts[1]);
        }
        properties.put("default.key.serde", Serdes.String().getClass());
        properties.put("default.value.serde", Values.class);
        KafkaStreams streams = new KafkaStreams(topology(), properties);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    /** The JSON serde as a class, which the configuration wants. */
    public static class Values extends Serdes.WrapperSerde<JsonNode> {
        public Values() {
            super(VALUES.serializer(), VALUES.deserializer());
        }
    }
}

import { describePlugin } from "headgate/testing";
import { department } from "./department.ts";

describePlugin("department", department, { options: { unknown: "nobody's" } });
